"""What methods promise that are trained on good parts and remember them too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.test_inspect import lines, run
from tests.support.parts import good, part, spots
from tests.support.quick import quick

from blemish import catalog
from blemish.errors import BadInput
from blemish.recipes import update
from blemish.recipes.calibrate import HoldoutScheme, calibrate
from blemish.recipes.recipe import Recipe, load

METHODS = sorted(
    name
    for name, card in catalog.METHODS.items()
    if card.trained and not card.auxiliary and hasattr(catalog.method(name), "extract")
)
every = pytest.mark.parametrize("method", METHODS)


def train(method: str, folder: Path, parts: list[Path]) -> Recipe:
    arguments = [f"--set={k}={json.dumps(v)}" for k, v in quick(method).items() if k != "product"]
    words = ("--encoder", "test-tiny", "--product", "metal cap", "--steps", 3, "--device", "cpu", *arguments)
    result = run("train", method, "--normal", parts[0].parent, "--out", folder / "a.blemish", *words)
    assert result.exit_code == 0, result.output
    return load(folder / "a.blemish")


def test_there_is_one() -> None:
    assert METHODS


@every
def test_the_recipe_knows_the_parts_it_was_trained_on_and_can_be_taught_more(method: str, tmp_path: Path) -> None:
    parts = good(tmp_path / "good", 3)
    recipe = train(method, tmp_path, parts)
    assert sorted(each.name for each in recipe.taught) == [path.name for path in parts]
    assert recipe.parent == ""
    assert [each.good for each in recipe.trained_on] == [3]
    odd = spots(tmp_path / "odd", 1)[0]
    again = part(tmp_path / "again.png", 300, spot=(8, 44))
    out = [tmp_path / "before", tmp_path / "after"]
    update_at = tmp_path / "b.blemish"
    for where, at in zip(out, (tmp_path / "a.blemish", update_at), strict=True):
        if at is update_at:
            result = run("teach", tmp_path / "a.blemish", "--good", odd, "--out", at)
            assert result.exit_code == 0, result.output
        assert run("inspect", again, "--recipe", at, "--out", where).exit_code == 0
    before, after = (lines(where / "results.jsonl")[0]["score"] for where in out)
    assert after < before


@every
def test_what_it_was_trained_on_cannot_be_forgotten_nor_left_out(method: str, tmp_path: Path) -> None:
    parts = good(tmp_path / "good", 3)
    recipe = train(method, tmp_path, parts)
    words = "product" in catalog.card(method).words
    refusal = "was trained on its product, words and all: train it again for 'leather'" if words else "reads no words"
    with pytest.raises(BadInput, match=refusal):
        update.name_product(recipe, "leather")
    with pytest.raises(BadInput, match="or trained, and stays"):
        update.forget(recipe, [recipe.taught[0].id])
    with pytest.raises(BadInput, match="or trained: calibrate by others, with --scheme split"):
        calibrate(recipe, parts, way=HoldoutScheme("cross"))
    others = good(tmp_path / "others", 4, first=10)
    assert calibrate(recipe, others).calibration
