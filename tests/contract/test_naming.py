"""Methods that name the types of defects and learn from labels of every kind, by words for what was never labelled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.support.quick import SIDE, quick

from blemish import catalog, encoders
from blemish.recipes.fit import TrainedDetector
from blemish.training.loop import train
from blemish.types import GOOD, Batch

NAMED = sorted(name for name, card in catalog.METHODS.items() if card.named and card.weak)
every = pytest.mark.parametrize("name", NAMED)
TYPES = ("hole", "scratch")


def batch(number: int, count: int = 6) -> Batch:
    """Grey parts: a good one, one with a dark square, one with a bright line, and so on."""
    generator = torch.Generator().manual_seed(number)
    images = 0.4 + 0.1 * torch.rand(count, 3, SIDE, SIDE, generator=generator)
    masks = torch.zeros(count, SIDE, SIDE, dtype=torch.bool)
    for at in range(count):
        y, x = torch.randint(0, SIDE - 20, (2,), generator=generator).tolist()
        if at % 3 == 1:
            masks[at, y : y + 20, x : x + 20] = True
        if at % 3 == 2:
            masks[at, y : y + 8] = True
    kinds = tuple((GOOD, *TYPES)[at % 3] for at in range(count))
    for at, kind in enumerate(kinds):
        images[at, :, masks[at]] = 0.0 if kind == "hole" else 1.0
    return Batch(images, masks, masks.flatten(1).any(1), kinds)


def begun(name: str) -> TrainedDetector:
    arguments = quick(name) | {"defects": TYPES, "supervised": True}
    made: TrainedDetector = catalog.method(name)(encoders.load("test-tiny"), **arguments)
    return made


def weak(number: int) -> Batch:
    """As `batch`, but nobody says where the defects are."""
    found = batch(number)
    assert found.masks is not None
    assert found.labels is not None
    return replace(found, masks=torch.zeros_like(found.masks), known=~found.labels)


def mixed(number: int) -> Batch:
    """As `batch`, but of one picture in six the place is not known, and of another the type."""
    found = batch(number)
    assert found.masks is not None
    assert found.types is not None
    known = torch.ones(6, dtype=torch.bool)
    known[1] = False
    masks = found.masks.clone()
    masks[1] = False
    return replace(found, masks=masks, known=known, types=(*found.types[:4], "", found.types[5]))


def good(number: int) -> Batch:
    """Good parts alone, as they are and with made defects of no type."""
    found = batch(number)
    assert found.types is not None
    return replace(found, types=tuple(GOOD if kind == GOOD else "" for kind in found.types))


@every
@pytest.mark.parametrize(
    "regime", [pytest.param(batch, marks=pytest.mark.slow), weak, mixed, good]
)  # see below for the first
def test_it_trains_by_labels_of_every_kind(name: str, regime: object, tmp_path: Path) -> None:
    detector = begun(name)
    schedule = replace(detector.schedule, steps=60, rate=10 * detector.schedule.rate, device="cpu")
    train(detector, regime, schedule, tmp_path)  # type: ignore[arg-type]
    seen = batch(1000)
    found = detector(seen.images)
    assert found.image_score[1::3].min() > found.image_score[0::3].max()
    assert found.image_score[2::3].min() > found.image_score[0::3].max()
    if regime in (batch, weak, mixed):
        assert found.type_scores is not None
        assert found.type_scores.argmax(1)[1::3].tolist() == [0, 0]
        assert found.type_scores.argmax(1)[2::3].tolist() == [1, 1]


@every
def test_regions_of_one_picture_have_types_of_their_own(name: str, tmp_path: Path) -> None:
    detector = begun(name)
    schedule = replace(detector.schedule, steps=160, rate=10 * detector.schedule.rate, device="cpu")
    train(detector, batch, schedule, tmp_path)
    image = torch.full((1, 3, SIDE, SIDE), 0.45)
    image[:, :, :8], image[:, :, 36:56, 20:40] = 1.0, 0.0
    kinds = detector(image).type_map
    assert kinds is not None
    assert detector.types[int(kinds[0, 4, 32])] == "scratch"  # type: ignore[attr-defined]
    assert detector.types[int(kinds[0, 46, 30])] == "hole"  # type: ignore[attr-defined]


@every
def test_words_that_were_never_a_label_name_what_they_mean(name: str, tmp_path: Path) -> None:
    """Regions are learned as places in the space of sentences, so that other words for the same are as good."""
    encoder = encoders.load("embedded")
    labelled, others = quick(name) | {"defects": TYPES, "supervised": True, "layers": None}, ("perforation", "scrape")
    detector = catalog.method(name)(encoder, **labelled)
    schedule = replace(detector.schedule, steps=40, rate=10 * detector.schedule.rate, device="cpu")
    train(detector, batch, schedule, tmp_path)
    asked = catalog.method(name)(encoder, **labelled | {"defects": others})
    asked.load_state_dict(detector.state_dict() | {"texts": asked.texts})
    found = asked(batch(1000).images)
    assert found.type_scores.argmax(1)[1::3].tolist() == [0, 0]
    assert found.type_scores.argmax(1)[2::3].tolist() == [1, 1]
