"""Training that begins with the weights of a recipe: what is kept, what is left out, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from tests.support.parts import TEST, frozen, good
from tests.support.training import TRAINED, batch, begun
from torch import Tensor, nn

from blemish import catalog
from blemish.blocks.rows import memories
from blemish.errors import BadInput, BadRecipe
from blemish.images import View
from blemish.notices import gather
from blemish.progress import no_progress
from blemish.recipes.detectors import detector, state_of
from blemish.recipes.fit import TrainingSettings
from blemish.recipes.start import begin
from blemish.recipes.train import Training
from blemish.recipes.update import add_good
from blemish.types import GOOD, Detector, Sample


def weights(made: Detector) -> dict[str, Tensor]:
    return {
        name: each for name, each in state_of(made).items() if name in dict(cast(nn.Module, made).named_parameters())
    }


@pytest.mark.parametrize("method", TRAINED)
def test_training_begins_where_the_recipe_ended(method: str) -> None:
    recipe = frozen(method, [])
    start, found = begin(method, None, recipe.arguments, recipe), detector(recipe)
    assert state_of(start).keys() == state_of(found).keys()
    assert all(torch.equal(each, state_of(start)[name]) for name, each in state_of(found).items())


@pytest.mark.parametrize("method", [name for name in TRAINED if catalog.card(name).words])
def test_words_may_be_those_of_the_new_parts(method: str) -> None:
    recipe = frozen(method, [])
    words: dict[str, Any] = {"product": "leather"}
    start = begin(method, None, {**recipe.arguments, **words}, recipe)
    assert cast(Any, start).product == "leather"
    old = weights(detector(recipe))
    assert old
    assert all(torch.equal(each, old[name]) for name, each in weights(start).items())


def test_what_was_taught_since_is_left_out_and_said(tmp_path: Path) -> None:
    recipe = add_good(frozen("april-gan", []), good(tmp_path, 2))
    with gather() as notices:
        start = begin("april-gan", None, recipe.arguments, recipe)
    assert not any(memory.fitted for memory in memories(start))
    assert [line for line in notices.lines() if "is left out: teach the new recipe" in line]
    assert all(torch.equal(each, weights(detector(recipe))[name]) for name, each in weights(start).items())


def training(method: str, samples: list[Sample], **more: Any) -> Training:
    settings = TrainingSettings(**{"steps": 8, "batch_size": 4, "device": "cpu", **more})
    return Training(method, None, {"set": samples}, settings, watch=no_progress)


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    return [Sample(path, GOOD) for path in good(tmp_path / "good", 6)]


def test_a_training_from_a_recipe_goes_on_and_holds_both(samples: list[Sample], tmp_path: Path) -> None:
    before = frozen("april-gan", [])
    run = training("april-gan", samples, start=before, augmentation="cutpaste", rate=1e-3)
    fresh, seen = begun("april-gan"), batch(3)
    with torch.no_grad():
        first = sum(cast(Any, run.detector).loss(seen).values())
        assert first < sum(cast(Any, fresh).loss(seen).values())
        own = run.examples(0)
        started = sum(cast(Any, run.detector).loss(own).values())
    made = run.run(tmp_path / "training", resume=False)
    assert made
    assert sum(cast(Any, run.detector).loss(own).values()) < started
    assert made.arguments == {**before.arguments, "product": "metal cap", "seed": 0}
    assert made.parent == before.hash
    assert [each.name for each in made.trained_on] == [*(each.name for each in before.trained_on), "set"]
    assert not torch.equal(detector(made)(TEST).anomaly_map, detector(before)(TEST).anomaly_map)


def test_pictures_of_both_trainings_stand_in_a_recipe_of_its_own_product(samples: list[Sample], tmp_path: Path) -> None:
    first = training("supersimplenet", samples[:4], start=frozen("supersimplenet", []), steps=1).run(
        tmp_path / "one", resume=False
    )
    assert first
    second = training("supersimplenet", samples[3:], start=first, steps=1).run(tmp_path / "two", resume=False)
    assert second
    assert {each.name for each in second.taught} == {each.image.name for each in samples}
    assert [each.good for each in second.trained_on] == [4, 3]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "method": ({"method": "uniadet"}, "a recipe is a recipe of april-gan, not of uniadet"),
    "arguments": (
        {"arguments": {"image_size": 128, "temperature": 0.02, "layers": [2, 4]}},
        "a recipe was trained with temperature 0.01, not 0.02; image_size 64, not 128: say the same, or leave",
    ),
    "view": ({"view": View(tile=32)}, "a recipe inspects a region or tiles, and training sees whole pictures"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_recipe_of_another_kind_is_refused_by_what_differs(what: str, samples: list[Sample]) -> None:
    asked, said = REFUSED[what]
    start = replace(frozen("april-gan", []), source="a recipe", view=asked.get("view", View()))
    with pytest.raises(BadInput, match=said):
        training(
            asked.get("method", "april-gan"),
            samples,
            start=start,
            augmentation="cutpaste",
            arguments=asked.get("arguments", {}),
        )


def test_another_encoder_is_refused_by_both_names(samples: list[Sample]) -> None:
    settings = TrainingSettings(augmentation="cutpaste", start=frozen("april-gan", []), steps=1, device="cpu")
    with pytest.raises(BadRecipe, match=r"is meant for the encoder test-tiny .*, and embedded is another"):
        Training("april-gan", "embedded", {"set": samples}, settings, watch=no_progress)


@pytest.mark.parametrize("method", [name for name in TRAINED if "defects" in catalog.card(name).words])
def test_weights_of_so_many_defects_are_refused_or_kept_for_others(method: str) -> None:
    recipe = replace(frozen(method, []), source="a recipe")
    asked = {**recipe.arguments, "defects": ["hole", "dent", "scratch"]}
    if method == "scf-ad":  # a learned sentence for each
        with pytest.raises(BadInput, match="the weights of a recipe are of other defects: give the same ones"):
            begin(method, None, asked, recipe)
    else:
        start = begin(method, None, asked, recipe)
        assert all(torch.equal(each, weights(detector(recipe))[name]) for name, each in weights(start).items())
