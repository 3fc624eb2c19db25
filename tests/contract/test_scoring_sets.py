"""What every method promises that scores a set: the scores follow from the set, and from nothing else about a run."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from tests.cli.test_evaluate import category
from tests.cli.test_inspect import lines, run
from tests.support.parts import good, spots
from tests.support.quick import quick

from blemish import catalog
from blemish.errors import BadInput
from blemish.fitting import choose_set, fit_detector
from blemish.images import Inspected
from blemish.inspection import inspect
from blemish.recipes import update

SETS = sorted(name for name, card in catalog.METHODS.items() if card.scores == "set")
every = pytest.mark.parametrize("method", SETS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    good(tmp_path / "set", 5)
    spots(tmp_path / "set", 2)
    return tmp_path / "set"


def asked(method: str) -> list[str]:
    return [
        "--encoder",
        "test-tiny",
        "--method",
        method,
        *(f"--set={k}={json.dumps(v)}" for k, v in quick(method).items()),
    ]


def scores(folder: Path) -> dict[str, float]:
    return {Path(line["path"]).name: line["score"] for line in lines(folder / "results.jsonl")}


@every
def test_the_command_scores_a_folder_and_neither_order_nor_batch_matters(method: str, folder: Path) -> None:
    paths = sorted(folder.iterdir())
    random.Random(3).shuffle(paths)
    found = []
    for number, (images, size) in enumerate([([folder], 8), (paths, 8), (paths, 1)]):
        out = folder.parent / f"out{number}"
        result = run("inspect", *images, "--out", out, "--batch-size", size, *asked(method))
        assert result.exit_code == 0, result.output
        assert "compared with each other" in result.output
        found.append(scores(out))
    for other in found[1:]:
        assert other == pytest.approx(found[0], rel=1e-4)
    worst = sorted(found[0], key=lambda name: found[0][name])[-2:]
    assert all(name.startswith("spot") for name in worst)


@every
def test_a_picture_is_compared_with_the_others_and_not_with_itself(method: str, folder: Path) -> None:
    paths = sorted(folder.iterdir())
    whole = fit_detector(method, "test-tiny", pictures=paths, arguments=quick(method) | {"neighbours": (1,)})
    rest = fit_detector(method, "test-tiny", pictures=paths[1:], arguments=quick(method) | {"neighbours": (1,)})
    one, other = (next(inspect(each, paths[:1])) for each in (whole, rest))
    assert isinstance(one, Inspected)
    assert isinstance(other, Inspected)
    assert one.score == pytest.approx(other.score, rel=1e-5)


@every
def test_a_large_set_is_sampled_alike_in_any_order(method: str, folder: Path) -> None:
    detector = catalog.detector(method, "test-tiny", quick(method) | {"pictures": 3})
    paths = sorted(folder.iterdir())
    chosen = choose_set(detector, paths)  # type: ignore[arg-type]
    assert len(chosen) == 3
    assert choose_set(detector, paths[::-1]) == chosen  # type: ignore[arg-type]


@every
def test_one_picture_alone_is_refused(method: str, folder: Path) -> None:
    alone = folder / "good0.png"
    (folder / "copy.png").write_bytes(alone.read_bytes())
    for images in ([alone], [alone, folder / "copy.png"]):
        result = run("inspect", *images, "--out", folder.parent / "out", *asked(method))
        assert result.exit_code == 1
        assert "compares pictures with each other: give more of the same product, or good parts" in result.output


@every
def test_a_run_goes_on_with_the_same_set_only(method: str, folder: Path) -> None:
    out = folder.parent / "out"
    assert run("inspect", folder, "--out", out, *asked(method)).exit_code == 0
    before = scores(out)
    rows = (out / "results.jsonl").read_text().splitlines(keepends=True)
    (out / "results.jsonl").write_text("".join(rows[:3]))
    assert run("inspect", folder, "--out", out, "--resume", *asked(method)).exit_code == 0
    assert scores(out) == pytest.approx(before, rel=1e-4)
    good(folder, 1, first=8)
    result = run("inspect", folder, "--out", out, "--resume", *asked(method))
    assert result.exit_code == 1
    assert "another set" in result.output


@every
def test_a_recipe_holds_what_to_compare_with_or_there_is_none(method: str, folder: Path) -> None:
    with pytest.raises(BadInput, match="a recipe holds those to compare with: give it some good parts"):
        update.freeze(method, "test-tiny", arguments=quick(method))
    recipe = folder.parent / "a.blemish"
    arguments = [f"--set={k}={json.dumps(v)}" for k, v in quick(method).items()]
    result = run(
        "recipe", "freeze", recipe, "--encoder", "test-tiny", "--method", method, "--normal", folder, *arguments
    )
    assert result.exit_code == 0, result.output
    result = run("inspect", folder / "spot0.png", "--recipe", recipe, "--out", folder.parent / "out")
    assert result.exit_code == 0, result.output


@every
def test_a_data_set_without_good_parts_is_measured_as_one_set(method: str, tmp_path: Path) -> None:
    root = category(tmp_path / "plate")
    result = run("evaluate", root, "--layout", "mvtec", "--shots", 0, *asked(method), "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["image_auroc"]["value"] > 0.9
    assert any("with each other" in note for note in found["notes"])
