from __future__ import annotations

import math
from pathlib import Path

import pytest
from tests.evaluation.test_evaluate import Kept
from tests.support.parts import good, mask, spots

import blemish
from blemish.errors import BadData, BadInput
from blemish.recipes.calibrate import HoldoutScheme
from blemish.recipes.recipe import Recipe
from blemish.runs.decision import Decided
from blemish.types import GOOD, Sample

EVERY = HoldoutScheme("split", every_picture=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("caps")


@pytest.fixture(scope="module")
def recipe(folder: Path) -> Recipe:
    """Learned and calibrated by the names that the package itself offers."""
    frozen = blemish.freeze("patchcore", "test-tiny", good=good(folder / "taught", 4), arguments={"width": 24})
    goal = blemish.Goal(false_reject=0.2)
    return blemish.calibrate(frozen, good(folder / "held", 20, first=20), goal=goal, way=EVERY)


def samples(folder: Path) -> list[Sample]:
    fine = [Sample(path, GOOD) for path in good(folder / "new", 3, first=60)]
    masks = [mask(folder / "masks" / f"{at}.png", (8 + 8 * at, 44 - 8 * at)) for at in range(2)]
    return fine + [Sample(path, "spot", (each,)) for path, each in zip(spots(folder / "new", 2), masks, strict=True)]


def test_verdicts_are_those_of_the_thresholds(recipe: Recipe, folder: Path) -> None:
    sink = Kept()
    found = blemish.validate(recipe, blemish.recipe_detector(recipe), samples(folder), sinks=[sink])
    assert recipe.calibration
    for kind in (GOOD, "spot"):
        verdicts = [
            each.verdict for sample, each in sink.found if isinstance(each, Decided) and sample and sample.label == kind
        ]
        counted = found.verdicts[kind]
        assert [verdicts.count(name) for name in ("accept", "review", "reject")] == [each.cases for each in counted]
    assert found.verdicts["spot"].rejected.cases == 2
    assert found.review
    assert found.review.total == 5
    (name,) = found.sizes
    assert found.sizes[name].accepted.total == 2
    assert found.seconds[0.99].high == math.inf
    assert found.as_json()["seconds_percentiles"]["0.99"]["high"] is None


def test_what_taught_the_recipe_is_left_out_and_named(recipe: Recipe, folder: Path) -> None:
    taught = Sample(folder / "taught" / "good0.png", GOOD)
    found = blemish.validate(recipe, blemish.recipe_detector(recipe), [taught, *samples(folder)])
    assert found.learned == (taught,)
    assert found.verdicts[GOOD].accepted.total == 3
    with pytest.raises(BadData, match="taught the recipe"):
        blemish.validate(recipe, blemish.recipe_detector(recipe), [taught])


def test_pictures_without_labels_are_no_evidence(recipe: Recipe, folder: Path) -> None:
    with pytest.raises(BadData, match="label"):
        blemish.validate(recipe, blemish.recipe_detector(recipe), [Sample(folder / "taught" / "good1.png")])


def test_a_picture_cannot_be_good_and_defective(recipe: Recipe, folder: Path) -> None:
    paths = good(folder / "both", 2, first=90)
    with pytest.raises(BadInput, match="as good and as defective"):
        blemish.calibrate(recipe, paths, defects={"spot": paths[:1]})
