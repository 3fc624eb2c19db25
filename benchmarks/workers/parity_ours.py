"""Every test picture of a data set by a recipe, with torch, and by the same one deployed, with none, both by commands.

argv: method, data, precision, backend, good parts, whether small.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from timing import report

from blemish import data
from blemish.data.sampling import shots
from blemish.recipes.deployed import GRAPH
from blemish.recipes.recipe import Recipe, load
from blemish.recipes.tensors import arrays_of

FRESH = 60
"""Good parts that taught nothing, by which the recipe is calibrated: as many as 5 % of false rejects ask for."""
NO_TORCH = "import sys; sys.modules['torch'] = None; from blemish.cli.main import main; main()"
WITH_TORCH = "from blemish.cli.main import main; main()"
GIVEN, LATER = ("--false-reject", "0.1", "--pixel", "0.1"), ("--false-reject", "0.05", "--pixel", "0.1")


def blemish(*words: object, program: str = WITH_TORCH) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, words)], capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 10, 11):
        raise SystemExit(f"blemish {' '.join(map(str, words))}\n{done.stderr[-2000:]}")


def link(samples: list[data.Sample], folder: Path) -> Path:
    """A folder with these pictures; their own folders would tell the product and what is wrong with it."""
    folder.mkdir()
    for number, each in enumerate(samples):
        (folder / f"{number:04}{each.image.suffix}").symlink_to(each.image.resolve())
    return folder


def lines(folder: Path) -> dict[str, dict[str, Any]]:
    every = (json.loads(line) for line in (folder / "results.jsonl").read_text(encoding="utf-8").splitlines())
    return {line["path"]: line for line in every}


def verdicts(recipe: Recipe, found: dict[str, dict[str, Any]]) -> list[str]:
    assert recipe.calibration
    return [recipe.calibration.verdict(line["score"]) for line in found.values()]


method, root, precision, backend, count, small = *sys.argv[1:5], int(sys.argv[5]), sys.argv[6] == "1"
good = shots(data.samples(root, split="train"), count + FRESH)
test = data.samples(root, split="test")[:: 10 if small else 1]
with TemporaryDirectory() as name:
    folder = Path(name)
    taught, fresh, shown = (
        link(each, folder / name) for name, each in (("taught", good[:count]), ("fresh", good[count:]), ("shown", test))
    )
    recipe, deployed, later = (folder / f"{each}.blemish" for each in ("line", "line.deploy", "later.deploy"))
    blemish("recipe", "freeze", recipe, "--normal", taught, "--method", method)
    blemish("calibrate", recipe, "--good", fresh, "--every-picture", *GIVEN)
    blemish("export", recipe, "--out", deployed, "--precision", precision, "--backend", backend)
    for file, program in ((recipe, WITH_TORCH), (deployed, NO_TORCH)):
        words = ("inspect", shown, "--recipe", file, "--no-overlays", "--out", folder / f"by {file.name}")
        blemish(*words, program=program)
    shutil.copy(deployed, later)
    blemish("calibrate", later, *LATER, program=NO_TORCH)
    one, other = (lines(folder / f"by {file.name}") for file in (recipe, deployed))
    before, after = load(deployed), load(later)
    assert one.keys() == other.keys(), "every picture was inspected by both"
    assert len(one) == len(test), "and none is missing"
    pairs = [(one[path], other[path]) for path in one]
    report(
        pictures=len(pairs),
        verdicts=Counter(line["verdict"] for line in one.values()),
        flipped=sum(a["verdict"] != b["verdict"] for a, b in pairs),
        regions=sum(len(line["regions"]) for line in one.values()),
        moved=sum([r["box"] for r in a["regions"]] != [r["box"] for r in b["regions"]] for a, b in pairs),
        apart=max(abs(a["score"] - b["score"]) for a, b in pairs),
        largest=max(a["score"] for a, _ in pairs),
        changed=sum(a != b for a, b in zip(verdicts(before, other), verdicts(after, other), strict=True)),
        same_graph=bool(np.array_equal(*(arrays_of(each.tensors)[GRAPH] for each in (before, after)))),
    )
