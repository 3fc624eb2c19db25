"""`blemish tune`: from good parts to a recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from PIL import Image
from tests.cli.test_inspect import lines, run
from tests.support.parts import good, mask, part, spots
from tests.support.told import Told

from blemish.errors import BadInput
from blemish.images import WHOLE
from blemish.metrics.intervals import Estimate
from blemish.progress import Advance, ShowProgress
from blemish.recipes.recipe import load
from blemish.tuning import search
from blemish.tuning.bench import FEW, Size, divide, real_defects
from blemish.tuning.candidates import Candidate, candidates
from blemish.tuning.search import Tuning, tune

QUICK = ["--encoder", "test-tiny", "--method", "padim", "--method", "patchcore"]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first round of a few pictures."""
    monkeypatch.setattr(search, "FIRST", Size(learned=3, held=2, flaws=1))
    monkeypatch.setattr(search, "MOST_ROUNDS", 2)


def command(folder: Path, *more: object, out: str = "line.blemish") -> Result:
    return run("tune", folder / "good", "--out", folder / out, *QUICK, *more)


def tried(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "line.tuning" / "tried.json").read_text(encoding="utf-8"))
    return found


def test_it_leaves_a_recipe_that_can_be_used_a_table_a_picture_and_a_sentence(tmp_path: Path) -> None:
    good(tmp_path / "good", 9)
    done = command(tmp_path, "--product", "grey plate", "--method", "winclip")
    assert done.exit_code == 0, done.output
    assert "on drawn flaws, next best" in done.stdout
    assert "ms a picture" in done.stdout
    recipe = load(tmp_path / "line.blemish")
    assert len(recipe.taught) == 9
    table = tried(tmp_path)
    first = table["tried"][0]
    assert first["method"] == recipe.method
    assert first["tile"] == recipe.view.tile
    assert first["arguments"] == dict(recipe.arguments)
    assert first["round"] == 2
    assert first["image"]["low"] <= first["image"]["value"] <= first["image"]["high"]
    assert set(first["each"]) <= {"drawn", "nsa", "cutpaste", "scar", "perlin", "glass"}
    assert {row["method"] for row in table["tried"]} == {"winclip", "padim", "patchcore"}
    assert table["chosen"] in done.stdout
    with Image.open(tmp_path / "line.tuning" / "flaws.png") as sheet:
        assert sheet.width > 400
    inspected = run(
        "inspect", part(tmp_path / "new.png", 50), "--recipe", tmp_path / "line.blemish", "--out", tmp_path / "o"
    )
    assert inspected.exit_code == 0, inspected.output
    assert run("teach", tmp_path / "line.blemish", "--good", part(tmp_path / "x.png", 51)).exit_code == 0


@pytest.mark.parametrize(("low", "chosen"), [(-0.1, "patchcore"), (0.1, "padim")])
def test_the_default_stays_unless_another_is_surely_better(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, low: float, chosen: str
) -> None:
    monkeypatch.setattr(search, "gain", lambda one, usual: Estimate(0.3, low, 0.7))
    monkeypatch.setattr(search, "default_candidate", lambda *given, **more: Candidate("patchcore", "test-tiny", {}))
    monkeypatch.setattr(search, "candidates", lambda *given, **more: [
        each for each in candidates(*given, **more) if not each.arguments and each.view == WHOLE
    ])  # fmt: skip
    monkeypatch.setattr(search, "rank", lambda judged: [*reversed(range(len(judged)))])  # the default comes last
    asked = Tuning(methods=("patchcore", "padim"))
    found = tune(good(tmp_path / "good", 4), tmp_path / "work", encoders=["test-tiny"], asked=asked)
    assert found.recipe.method == chosen
    assert found.rows[0].candidate.method == chosen
    kept = "it is the default, and that is not surely better: image AUROC and pixel AP by +0.300 (-0.100 to +0.700)"
    assert (kept if low < 0 else "above the default's by +0.300 (+0.100 to +0.700)") in found.said
    table = json.loads((tmp_path / "work" / "tried.json").read_text(encoding="utf-8"))["tried"]
    assert {row["method"]: row["gain"] and row["gain"]["low"] for row in table if row["round"]} == {
        "patchcore": None, "padim": low
    }  # fmt: skip


def stopped_in(stage: str) -> ShowProgress:
    """Ctrl-C at the second step of a stage."""

    def watch(name: str, total: int, done: int = 0, /) -> Advance:
        return Told(2 if name.startswith(stage) else 0)(name, total, done)

    return watch


def test_a_tuning_that_was_stopped_goes_on_and_ends_alike(tmp_path: Path) -> None:
    paths = good(tmp_path / "good", 6)
    asked, which = Tuning(methods=("padim", "patchcore")), ["test-tiny"]
    whole = tune(paths, tmp_path / "whole", encoders=which, asked=asked)
    for stage in ("comparing", "drawing", "round 1", "round 2"):
        with pytest.raises(KeyboardInterrupt):
            tune(paths, tmp_path / "stopped", encoders=which, asked=asked, watch=stopped_in(stage))
    resumed = tune(paths, tmp_path / "stopped", encoders=which, asked=asked)
    assert {str(row.candidate) for row in resumed.rows} == {str(row.candidate) for row in whole.rows}
    whole_scores, scores = (
        {(str(row.candidate), row.round): row.judged and row.judged.each for row in found.rows}
        for found in (whole, resumed)
    )
    shared = whole_scores.keys() & scores.keys()
    assert shared
    assert {each: whole_scores[each] for each in shared} == {each: scores[each] for each in shared}
    before = (tmp_path / "stopped" / "results.jsonl").read_bytes()
    tune(paths, tmp_path / "stopped", encoders=which, asked=asked)
    assert (tmp_path / "stopped" / "results.jsonl").read_bytes() == before  # nothing is measured twice
    with pytest.raises(BadInput, match="holds a tuning of other parts"):
        tune(paths[1:], tmp_path / "stopped", encoders=which, asked=asked)


def test_real_defects_count_with_masks_and_without(tmp_path: Path) -> None:
    good(tmp_path / "good", 4)
    spots(tmp_path / "bad" / "spot", 2)
    done = command(tmp_path, "--defects", tmp_path / "bad", "--budget", "5m")
    assert done.exit_code == 0, done.output
    assert "on real defects and drawn flaws" in done.stdout
    assert "real" in tried(tmp_path)["tried"][0]["each"]
    found = real_defects(tmp_path / "bad")
    assert [each.masks for each in found] == [(), ()]
    mask(tmp_path / "bad" / "masks" / "spot" / "spot0_mask.png", (8, 44))
    assert sorted(len(each.masks) for each in real_defects(tmp_path / "bad")) == [0, 1]
    loose = spots(tmp_path / "loose", 2)
    assert [each.image for each in real_defects(tmp_path / "loose")] == loose


def test_only_what_is_inspected_is_learned_and_flawed(tmp_path: Path) -> None:
    good(tmp_path / "good", 4)
    done = command(
        tmp_path, "--region", 8, 16, 50, 40, "--mask", mask(tmp_path / "where.png", (20, 24)), "--white", 255
    )
    assert done.exit_code == 0, done.output
    view = load(tmp_path / "line.blemish").view
    assert view.region == (8, 16, 50, 40)
    assert view.mask is not None
    assert view.white == 255
    assert tried(tmp_path)["asked"]["view"]["region"] == [8, 16, 50, 40]
    flaws = list((tmp_path / "line.tuning" / "flaws").rglob("*_mask.png"))
    for flaw in flaws:
        shown = np.asarray(Image.open(flaw)) > 0
        assert shown[view.mask].sum() >= 0.8 * shown.sum()
    assert flaws
    done = command(tmp_path, "--region", 0, 0, 64, 64, out="other.blemish")
    assert done.exit_code == 0, done.output
    again = command(tmp_path, "--work", tmp_path / "line.tuning", out="third.blemish")
    assert "another seed or region" in again.stderr


def test_few_parts_and_damaged_ones_are_said(tmp_path: Path) -> None:
    good(tmp_path / "good", 3)
    done = command(tmp_path)
    assert done.exit_code == 1
    assert "3 good parts are too few to choose by: give at least 4" in done.stderr
    good(tmp_path / "good", 5)
    (tmp_path / "good" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    done = command(tmp_path)
    assert done.exit_code == 3, done.output
    assert "torn.png" in done.stderr
    assert len(load(tmp_path / "line.blemish").taught) == 5


def test_too_little_time_is_said_and_more_goes_on(tmp_path: Path) -> None:
    good(tmp_path / "good", 8)
    done = command(tmp_path, "--budget", "0.01s")
    assert done.exit_code == 1
    assert "0.01 s were too short to measure two candidates: give a longer --budget" in done.stderr
    assert command(tmp_path, "--budget", "2m").exit_code == 0
    done = command(tmp_path, "--budget", "soon", out="other.blemish")
    assert done.exit_code == 2
    assert "'soon' is no time: write 90s, 10m or 1h" in done.stderr


def test_a_limit_on_the_time_of_a_picture_is_hard(tmp_path: Path) -> None:
    good(tmp_path / "good", 8)
    done = command(tmp_path, "--budget-ms", "0.001")
    assert done.exit_code == 1
    assert "no candidate takes at most 0.001 ms a picture: the quickest" in done.stderr


def test_deep_pictures_are_compared_with_flaws_of_as_many_bits(tmp_path: Path) -> None:
    for number in range(4):
        levels = np.random.default_rng(number).integers(20000, 40000, (64, 64)).astype(np.uint16)
        (tmp_path / "good").mkdir(exist_ok=True)
        Image.fromarray(levels).save(tmp_path / "good" / f"{number}.png")
    done = command(tmp_path)
    assert done.exit_code == 0, done.output
    table = (tmp_path / "line.tuning" / "round1.csv").read_text(encoding="utf-8")
    assert all(("-8.png" in row) == ("test" in row) for row in table.splitlines()[1:] if row.startswith("parts/"))


def test_no_part_is_learned_and_held_out() -> None:
    parts = [tuple(Path(f"{number}-{view}.png") for view in range(2)) for number in range(19)]
    for count in (4, FEW - 1, FEW, 19):
        folds = divide(parts[:count], seed=1)
        assert len(folds) == (2 if count < FEW else 1)
        for fold in folds:
            learned, held = ({path.name.partition("-")[0] for path in each} for each in fold)
            assert not learned & held
            assert len(learned | held) == count
            assert len(held) >= 2


def test_progress_says_how_many_candidates_a_round_has(tmp_path: Path) -> None:
    told = Told()
    tune(
        good(tmp_path / "good", 4), tmp_path / "t", encoders=["test-tiny"], asked=Tuning(methods=("padim",)), watch=told
    )
    assert any(stage.startswith("round 1, ") for stage, _, _ in told.stages)
    assert lines(tmp_path / "t" / "results.jsonl")
