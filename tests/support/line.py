"""The folders that the examples of the documentation speak of, as someone who inspects gears would have them."""

from __future__ import annotations

import importlib.util
import itertools
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[2]
PLAN = """
[[methods]]
name = "patchcore"

[[data]]
root = "data"
layout = "mvtec"
"""
DEFECTS = """
[crack]
definition = "a thin dark line that runs through the metal"
severity = "reject"

[rust]
severity = "review"
accept_below_px = 20
"""
LINE = """
[[stations]]
name = "gears"
recipes = { gear = "gear.blemish" }
"""
SIDE = 128


def judged() -> str:
    """A table of judgements: two inspectors, twelve parts twice each, and one of them is wrong about one part."""
    lines = ["part,appraiser,verdict,reference"]
    for part, who in itertools.product(range(12), "AABB"):
        known = "bad" if part % 3 == 0 else "good"
        lines.append(f"{part},{who},{'bad' if (part, who) == (1, 'B') else known},{known}")
    return "\n".join(lines) + "\n"


def make_parts() -> ModuleType:
    """examples/make_parts.py."""
    spec = importlib.util.spec_from_file_location("make_parts", ROOT / "examples" / "make_parts.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def furnish(folder: Path) -> None:
    """Write them."""
    draw: Any = make_parts()
    draw.SIDE = SIDE
    rng, gear = np.random.default_rng(1), draw.gear()

    def write(name: str, scene: object) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        draw.picture(scene, rng).save(folder / name)

    for where, count in {"good": 12, "photos": 2, "others": 16, "more": 2, "data/gears/test/good": 4}.items():
        for number in range(count):
            write(f"{where}/{number:02}.png", gear)
    for where in ("bad/{0}/{1}.png", "photos/{0}_{1}.png", "data/gears/test/{0}/{1}.png"):
        for name in ("crack", "rust"):
            for number in range(2):
                write(where.format(name, number), draw.flawed(name))
    write("missed/0.png", draw.flawed("crack"))
    shutil.copytree(folder / "good", folder / "data/gears/train/good")
    _pictures(folder)
    (folder / "examples").mkdir()
    for name in ("make_parts.py", "own_method.py", "run_onnx.py"):
        shutil.copy(ROOT / "examples" / name, folder / "examples")
    (folder / "plan.toml").write_text(PLAN, encoding="utf-8")
    (folder / "line.toml").write_text(LINE, encoding="utf-8")
    (folder / "judged.csv").write_text(judged(), encoding="utf-8")
    (folder / "defects.toml").write_text(DEFECTS, encoding="utf-8")


def _pictures(folder: Path) -> None:
    """Masks, a picture to tile, pictures of 12 bits."""
    white, spot = Image.new("L", (SIDE, SIDE), 255), Image.new("L", (SIDE, SIDE))
    spot.paste(255, (60, 20, 100, 50))
    truth = [f"data/gears/ground_truth/{kind}/{at}_mask.png" for kind in ("crack", "rust") for at in (0, 1)]
    for name in ("masks/0.png", *truth):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        spot.save(folder / name)
    white.save(folder / "part.png")
    with Image.open(folder / "photos/crack_0.png") as cracked:
        cracked.resize((2 * SIDE, 2 * SIDE)).save(folder / "huge.png")
    (folder / "deep").mkdir()
    for number in range(3):
        with Image.open(folder / f"good/{number:02}.png") as part:
            grey = np.asarray(part.convert("L"), np.uint16) * 16
        Image.fromarray(grey).save(folder / f"deep/{number}.png")
