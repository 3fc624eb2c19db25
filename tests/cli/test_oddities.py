"""What is odd about pictures reaches whoever runs a command, once and with a count."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from tests.support.parts import frozen, good, mask, part, spots

from blemish.cli.main import main
from blemish.recipes import recipe as recipes


def without_alpha(folder: Path, count: int) -> None:
    """Parts whose fourth byte nobody filled."""
    for number in range(count):
        path = part(folder / f"{number}.png", number, spot=(10, 40))
        with Image.open(path) as opened:
            pixels = np.array(opened)
        Image.fromarray(np.dstack([pixels, np.zeros_like(pixels[..., 0])])).save(path)


def test_inspect_says_once_that_alpha_is_ignored_and_scores_the_picture(tmp_path: Path) -> None:
    without_alpha(tmp_path / "alpha", 4)
    for number in range(4):
        part(tmp_path / "plain" / f"{number}.png", number, spot=(10, 40))
    scores = {}
    for name in ("alpha", "plain"):
        out = tmp_path / f"out-{name}"
        words = [
            "inspect",
            str(tmp_path / name),
            "--encoder",
            "test-tiny",
            "--out",
            str(out),
            "--no-overlays",
            "--json",
        ]
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 0, done.output
        scores[name] = [json.loads(line)["score"] for line in done.stdout.splitlines() if '"score"' in line]
        said = [line for line in done.stderr.splitlines() if "alpha is 0 everywhere" in line]
        assert len(said) == (name == "alpha")
        assert all(line.endswith("(and 3 more)") for line in said)
        notes = json.loads((out / "summary.json").read_text())["notes"]
        assert [f"note: {line}" for line in notes] == said
    assert scores["alpha"] == scores["plain"]


@pytest.mark.parametrize("command", ["calibrate", "teach"])
def test_a_mask_of_another_size_is_refused_by_name(command: str, tmp_path: Path) -> None:
    path = tmp_path / "r.blemish"
    recipes.save(frozen("patchcore", good(tmp_path / "good", 3)), path)
    good(tmp_path / "more", 3, first=10)
    (spot,) = spots(tmp_path / "defects", 1)
    mask(tmp_path / "masks" / spot.name, (3, 3), side=32)
    masks = ["--masks", str(tmp_path / "masks")]
    words = {
        "calibrate": ["calibrate", str(path), "--good", str(tmp_path / "more"), "--defects", str(tmp_path / "defects")],
        "teach": ["teach", str(path), "--defect", "spot", str(tmp_path / "defects")],
    }[command]
    done = CliRunner().invoke(main, [*words, *masks])
    assert done.exit_code != 0
    assert f"{tmp_path / 'masks' / spot.name} is no mask for {spot}" in done.output
    assert "32 x 32" in done.output


def test_inspect_names_pictures_that_a_region_mask_does_not_fit(tmp_path: Path) -> None:
    part(tmp_path / "in" / "a.png", 0)
    mask(tmp_path / "mask.png", (3, 3), side=32)
    words = ["inspect", str(tmp_path / "in"), "--mask", str(tmp_path / "mask.png"), "--encoder", "test-tiny"]
    done = CliRunner().invoke(main, [*words, "--out", str(tmp_path / "out")])
    assert done.exit_code == 1
    assert "the mask is 32 x 32" in done.output
