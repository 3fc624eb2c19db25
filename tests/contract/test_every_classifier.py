"""What every classifier of the catalogue promises."""

from __future__ import annotations

import copy
from typing import Any, cast

import pytest
import torch
from tests.support.quick import QUICK_CLASSIFIERS
from torch import Tensor, nn

from blemish import catalog, encoders
from blemish.catalog import CLASSIFIERS
from blemish.classification.learn import held_out_logits, learn
from blemish.errors import BadInput, NotFitted
from blemish.types import Classifier, Cropper, TypedExamples

TYPES = ["hole", "scratch", "stain"]
SIDE = 64
every = pytest.mark.parametrize("name", sorted(CLASSIFIERS))
learners = pytest.mark.parametrize("name", sorted(n for n, c in CLASSIFIERS.items() if c.labelled == "required"))


def made(name: str) -> Classifier:
    return catalog.classifier(name, encoders.load(encoders.TINY), TYPES, QUICK_CLASSIFIERS[name])


def pictures(number: int, count: int, seed: int = 0) -> Tensor:
    """Of one type: texture, or lines, or a dark spot, on noise."""
    generator = torch.Generator().manual_seed(100 * seed + number)
    images = 0.5 + 0.05 * torch.randn(count, 3, SIDE, SIDE, generator=generator)
    for image in images:
        x, y = torch.randint(8, SIDE - 24, (2,), generator=generator).tolist()
        if number == 0:
            image[:, y : y + 16, x : x + 16] = 0.05
        elif number == 1:
            image[:, y : y + 2] = 0.95
        else:
            image[0] += 0.4
    return images.clamp(0, 1)


def shown(classifier: Classifier, count: int = 4, seed: int = 0) -> TypedExamples:
    seen = torch.cat([classifier.look(pictures(number, count, seed)) for number in range(len(TYPES))])
    types = torch.eye(len(TYPES), dtype=torch.bool).repeat_interleave(count, 0)
    return TypedExamples(seen[:, None], types)


@every
def test_it_tells_drawn_types_apart_or_says_by_words(name: str) -> None:
    classifier = made(name)
    examples = shown(classifier)
    logits = classifier.fit(examples)(shown(classifier, seed=1).seen)
    assert logits.shape == (12, 3)
    assert torch.isfinite(logits).all()
    if CLASSIFIERS[name].labelled == "required" and "text" not in CLASSIFIERS[name].needs:
        assert (logits.argmax(1) == torch.arange(3).repeat_interleave(4)).float().mean() > 0.6


@every
def test_a_defect_is_named_alike_alone_and_among_others(name: str) -> None:
    if CLASSIFIERS[name].scores == "set":
        pytest.skip("it scores a set together")
    classifier = made(name)
    classifier.fit(shown(classifier))
    seen = shown(classifier, seed=1).seen
    torch.testing.assert_close(classifier(seen[:1]), classifier(seen)[:1], rtol=1e-4, atol=1e-5)


@learners
def test_without_examples_it_says_so(name: str) -> None:
    classifier = made(name)
    seen = shown(classifier).seen
    with pytest.raises(NotFitted):
        classifier(seen)


@every
def test_a_second_fit_forgets_the_first(name: str) -> None:
    once, twice = made(name), made(name)
    other = shown(twice, seed=2)
    twice.fit(TypedExamples(other.seen, other.types.roll(1, 1)))
    examples = shown(once)
    torch.testing.assert_close(once.fit(examples)(examples.seen), twice.fit(examples)(examples.seen))


@every
def test_it_leaves_examples_and_randomness_as_they_were(name: str) -> None:
    classifier = made(name)
    examples = shown(classifier)
    kept, state = copy.deepcopy(examples), torch.random.get_rng_state()
    classifier.fit(examples)(examples.seen)
    assert torch.equal(kept.seen, examples.seen)
    assert torch.equal(kept.types, examples.types)
    assert torch.equal(state, torch.random.get_rng_state())


@every
def test_what_it_learned_is_saved_bit_for_bit(name: str) -> None:
    first, second = made(name), made(name)
    examples = shown(first)
    first.fit(examples)
    cast(nn.Module, second).load_state_dict(cast(nn.Module, first).state_dict())
    assert torch.equal(first(examples.seen), second(examples.seen))


@every
def test_a_region_is_described_as_a_picture_is(name: str) -> None:
    classifier = made(name)
    images = pictures(0, 2)
    places = classifier.places(images)
    found = classifier.gather(places, torch.ones(places.shape[:3]))
    assert found.shape == classifier.look(images).shape
    assert torch.isfinite(found).all()


@every
def test_crops_of_a_picture_are_described_as_a_picture_is(name: str) -> None:
    classifier = made(name)
    if not isinstance(classifier, Cropper):
        return
    picture, region = (pictures(0, 1)[0] * 255).byte(), torch.zeros(SIDE, SIDE, dtype=torch.bool)
    region[3:9, 50:] = True
    crops, regions = classifier.crop(picture, region)
    assert crops.shape[0] == regions.shape[0] > 1
    assert crops.shape[2:] == regions.shape[1:]
    assert 0 <= crops.min() <= crops.max() <= 1
    assert (regions.flatten(1).amax(1) > 0).all()
    assert classifier.look_inside(crops, regions).shape[1] == classifier.look(picture[None] / 255).shape[1]


@learners
def test_one_example_of_a_type_and_many_of_another(name: str) -> None:
    classifier = made(name)
    examples = shown(classifier)
    few = TypedExamples(examples.seen[3:], examples.types[3:])
    namer = learn(classifier, few)
    rows, held = held_out_logits(made(name), few)
    assert sorted(rows.tolist()) == [*range(1, 9)]
    assert torch.isfinite(held).all()
    assert {each.type for each in namer.name(examples.seen)} <= {*TYPES, ""}


@learners
def test_a_type_with_one_example_is_not_lost_beside_one_with_a_thousand(name: str) -> None:
    if "text" in CLASSIFIERS[name].needs:
        return
    classifier = made(name)
    examples = shown(classifier)
    rare, often = examples.seen[:1], examples.seen[4:]
    noise = torch.randn(125, *often.shape, generator=torch.Generator().manual_seed(0))
    many = (often + 0.01 * often.std() * noise).flatten(0, 1)
    types = torch.zeros(1 + len(many), 3, dtype=torch.bool)
    types[0, 0] = True
    types[1:, 1:] = examples.types[4:, 1:].repeat(125, 1)
    classifier.fit(TypedExamples(torch.cat([rare, many]), types))
    found = classifier(shown(classifier, seed=1).seen).argmax(1)
    assert (found[:4] == 0).float().mean() >= 0.5
    assert (found[4:] == torch.arange(1, 3).repeat_interleave(4)).float().mean() > 0.7


@every
def test_an_argument_that_it_does_not_have_is_refused(name: str) -> None:
    arguments: dict[str, Any] = QUICK_CLASSIFIERS[name] | {"colour": "red"}
    with pytest.raises(BadInput, match="takes no colour"):
        catalog.classifier(name, encoders.TINY, TYPES, arguments)
