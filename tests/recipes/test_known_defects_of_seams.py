"""Known defects beside a method that reaches into its encoder: both look through one cached encoder."""

from __future__ import annotations

from pathlib import Path

import torch
from click.testing import CliRunner
from tests.support.parts import frozen, mask, part, scores

from blemish.cli.main import main
from blemish.encoders.inputs import as_tensor
from blemish.images import read, unit
from blemish.recipes.recipe import load, save


def run(*words: str | Path) -> str:
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 0, result.output + result.stderr
    return result.output


def test_a_shown_defect_raises_what_resembles_it_and_nothing_else(tmp_path: Path) -> None:
    bare, taught = frozen("anomaly-clip", []), tmp_path / "a.blemish"
    save(bare, taught)
    defect = part(tmp_path / "bad/0.png", 1, spot=(24, 24))
    mask(tmp_path / "masks/0.png", (24, 24))
    run("teach", taught, "--defect", "spot", defect.parent, "--masks", tmp_path / "masks")
    again = part(tmp_path / "new/1.png", 2, spot=(24, 24))
    images = torch.stack([as_tensor(unit(read(path))) for path in (defect, again)])
    good = torch.stack([as_tensor(unit(read(part(tmp_path / "good" / f"{at}.png", 10 + at)))) for at in range(3)])
    before, after = scores(bare, images), scores(load(taught), images)
    assert (after.image_score > before.image_score).all()
    before, after = scores(bare, good), scores(load(taught), good)
    assert after.type_map is not None
    assert (after.type_map == -1).all()
    assert torch.equal(after.image_score, before.image_score)
    assert torch.equal(after.anomaly_map, before.anomaly_map)
    run("inspect", tmp_path / "new", "--recipe", taught, "--out", tmp_path / "out")
    assert len((tmp_path / "out/results.jsonl").read_text(encoding="utf-8").splitlines()) == 1
