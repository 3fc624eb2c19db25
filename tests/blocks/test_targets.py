"""What a batch says of its pictures, at a grid."""

from __future__ import annotations

import torch

from blemish.blocks.targets import targets_of, with_made
from blemish.types import GOOD, Batch


def batch() -> Batch:
    masks = torch.zeros(5, 8, 8, dtype=torch.bool)
    masks[1, :4, :4] = True
    masks[2, 7, 7] = True
    return Batch(
        torch.zeros(5, 3, 8, 8),
        masks,
        torch.tensor([False, True, True, True, True]),
        (GOOD, "hole", "", "scratch", "never asked for"),
        known=torch.tensor([True, True, True, False, False]),
    )


def test_labels_masks_and_types_become_numbers() -> None:
    found = targets_of(batch(), (2, 2), ("scratch", "hole"))
    assert found.truth[1].tolist() == [[1, 0], [0, 0]]
    assert found.known.tolist() == [True, True, True, False, False]
    assert found.bad.tolist() == [False, True, True, True, True]
    assert found.numbers.tolist() == [0, 2, -1, 1, -1]
    assert found.made.tolist() == [False, False, True, False, False]


def test_a_defect_smaller_than_a_cell_is_not_lost() -> None:
    assert targets_of(batch(), (2, 2), ()).truth[2].tolist() == [[0, 0], [0, 1]]


def test_pictures_without_labels_are_good() -> None:
    found = targets_of(Batch(torch.zeros(2, 3, 8, 8)), (2, 2), ("hole",))
    assert not found.bad.any()
    assert found.known.all()
    assert found.numbers.tolist() == [0, 0]


def test_labels_without_masks_say_nothing_of_places() -> None:
    found = targets_of(Batch(torch.zeros(2, 3, 8, 8), labels=torch.tensor([False, True])), (2, 2), ())
    assert found.known.tolist() == [True, False]


def test_copies_with_made_defects_come_after_the_pictures() -> None:
    found = targets_of(batch(), (2, 2), ("scratch", "hole"))
    places = torch.tensor([[[0.0, 1.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    both = with_made(found, torch.tensor([0, 0]), places)
    assert both.numbers.tolist() == [0, 2, -1, 1, -1, -1, 0]
    assert both.bad.tolist()[5:] == [True, False]
    assert both.known.tolist()[5:] == [True, True]
    assert both.truth[5:].equal(places)
