"""Several normal prototypes, and neighbours of a place."""

from __future__ import annotations

import torch
from torch.nn import functional as F
from torch.testing import assert_close

from blemish.blocks.competition import NeighbourUnit, beat_best_normal, lack_of_variety


def test_the_best_of_several_normal_ones_has_to_be_beaten() -> None:
    texts = torch.eye(4)[[0, 1, 2]]
    places = F.normalize(torch.tensor([[0.9, 0.1, 0.5, 0.0], [0.1, 0.9, 0.5, 0.0], [0.1, 0.2, 0.5, 0.0]]), dim=-1)
    found = beat_best_normal(places, texts, 0.5)
    assert_close(found, 2 * (places[:, 2] - places[:, :2].amax(1)))
    assert (found > 0).tolist() == [False, False, True]


def test_variety_is_lacking_where_sentences_are_alike() -> None:
    assert lack_of_variety(torch.eye(3)) == 0
    assert lack_of_variety(torch.eye(3)[[0, 0]]) == 1
    assert lack_of_variety(torch.eye(3)[:1]) == 0
    two = F.normalize(torch.tensor([[1.0, 0.0], [1.0, 1.0]]), dim=-1)
    assert_close(lack_of_variety(two), torch.tensor(0.5))


def test_a_place_is_changed_by_its_neighbours_and_by_nothing_further_away() -> None:
    unit = NeighbourUnit(4, torch.Generator().manual_seed(0))
    places = torch.rand(1, 7, 7, 4, generator=torch.Generator().manual_seed(1))
    other = places.clone()
    other[0, 3, 3] += 1
    changed = (unit(places) != unit(other)).any(-1)[0]
    assert changed[2:5, 2:5].all()
    assert changed.sum() == 9
