"""One definition of learning: however pictures come to a detector, they teach it the same.

With the arguments a method has by itself, but for the size of its input and the number of its views.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.support.parts import LEARNERS, TEST, good, same, scores
from tests.support.quick import SIDE

from blemish import catalog
from blemish.blocks.rotation import views_of
from blemish.blocks.rows import memories
from blemish.fitting import extract_all, fit_detector, remember
from blemish.recipes import update
from blemish.recipes.reading import Reading
from blemish.recipes.recipe import Recipe
from blemish.types import Batch, Learner, Prediction

SMALL: dict[str, dict[str, Any]] = {
    "anomaly-dino": {"image_size": SIDE},
    "patchcore": {"width": 24},
    "rad": {"image_size": SIDE},
    "subspace-ad": {"image_size": SIDE, "turns": 3},
}
learners = pytest.mark.parametrize("method", LEARNERS)
remembering_all = pytest.mark.parametrize("method", sorted(set(LEARNERS) - {"patchcore"}))
"""A coreset of all is not what two coresets make together, nor what is left of it without a part."""


def frozen(method: str, paths: Sequence[Path], *, batch_size: int = 1) -> Recipe:
    reading = Reading(batch_size=batch_size)
    return update.freeze(method, "test-tiny", good=paths, arguments=SMALL.get(method, {}), reading=reading)


def assert_near(one: Prediction, other: Prediction) -> None:
    """To the rounding of float32 sums: an encoder's products are summed in another order in a larger batch."""
    torch.testing.assert_close(one.image_score, other.image_score, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(one.anomaly_map, other.anomaly_map, rtol=1e-4, atol=1e-6)


@learners
@pytest.mark.parametrize("batch_size", [1, 8])
def test_fitted_and_frozen_are_one(method: str, batch_size: int, tmp_path: Path) -> None:
    paths = good(tmp_path, 5)
    detector = fit_detector(method, "test-tiny", good=paths, arguments=SMALL.get(method, {}), batch_size=batch_size)
    with torch.inference_mode():
        fitted = detector(TEST)
    assert same(scores(frozen(method, paths, batch_size=batch_size)), fitted)


@learners
def test_the_size_of_a_batch_does_not_matter(method: str, tmp_path: Path) -> None:
    paths = good(tmp_path, 9)
    one, three, eight = (scores(frozen(method, paths, batch_size=size)) for size in (1, 3, 8))
    assert_near(three, one)
    assert_near(eight, one)


@remembering_all
def test_the_order_of_pictures_does_not_matter(method: str, tmp_path: Path) -> None:
    """But to a coreset, which starts at rows drawn by their numbers."""
    paths = good(tmp_path, 5)
    assert_near(scores(frozen(method, [paths[at] for at in (3, 0, 4, 1, 2)])), scores(frozen(method, paths)))


@remembering_all
@pytest.mark.parametrize("at", [0, 2])
def test_what_is_forgotten_might_never_have_been_taught(method: str, at: int, tmp_path: Path) -> None:
    paths = good(tmp_path, 4)
    whole = frozen(method, paths)
    left = update.forget(whole, [whole.taught[at].id])
    never = frozen(method, [path for number, path in enumerate(paths) if number != at])
    assert same(scores(left), scores(never))


@remembering_all
def test_the_places_of_forgotten_pictures_in_a_batch_leave_no_trace(method: str, tmp_path: Path) -> None:
    paths = good(tmp_path, 4)
    whole = frozen(method, paths, batch_size=8)
    left = update.forget(whole, [whole.taught[0].id])
    assert_near(scores(left), scores(frozen(method, paths[1:], batch_size=8)))


@remembering_all
def test_what_is_added_might_have_been_taught_at_once(method: str, tmp_path: Path) -> None:
    paths = good(tmp_path, 4)
    first = frozen(method, paths[:2])
    added = update.add_good(first, paths[2:], reading=Reading(batch_size=1))
    assert same(scores(added), scores(frozen(method, paths)))


@pytest.mark.parametrize("method", ["padim", "subspace-ad"])
def test_sums_take_constant_room_while_they_are_learned(method: str) -> None:
    detector = catalog.detector(method, "test-tiny", SMALL.get(method, {}))
    assert isinstance(detector, Learner)
    images = torch.rand(40, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    remember(detector, map(Batch, images.split(4)))
    (memory,) = memories(detector)
    assert len(memory.recall()[0]) < 16


@learners
def test_pictures_are_read_as_they_are_learned(method: str) -> None:
    """At most as many are held back as may be seen in other views."""
    detector = catalog.detector(method, "test-tiny", SMALL.get(method, {}))
    assert isinstance(detector, Learner)
    read = []

    def batches() -> Iterator[Batch]:
        for number in range(30):
            read.append(number)
            yield Batch(torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(number)))

    next(extract_all(detector, batches()))
    assert len(read) <= max([each.few + 1 for each in views_of(detector)], default=1)


@learners
def test_the_same_file_is_learned_once(method: str, tmp_path: Path) -> None:
    paths = good(tmp_path, 3)
    twin = tmp_path / "twin.png"
    twin.write_bytes(paths[0].read_bytes())
    one, other = (
        fit_detector(method, "test-tiny", good=each, arguments=SMALL.get(method, {}))
        for each in (paths, [*paths, twin, paths[1]])
    )
    with torch.inference_mode():
        assert same(one(TEST), other(TEST))
