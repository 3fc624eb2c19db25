from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from blemish.blocks.retrieval import CHUNK, Gallery
from blemish.errors import BadInput, NotFitted

H, W, C, PICTURES = 4, 5, 6, CHUNK + 3


def units(*shape: int, seed: int = 0) -> Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def gallery() -> tuple[Gallery, Tensor, Tensor]:
    found, whole, grids = Gallery(2), units(PICTURES, 7), units(PICTURES, H, W, C, seed=1)
    found.hold(whole, units(PICTURES, 2, 2, 3, seed=2), grids)
    return found, whole, grids


@pytest.mark.parametrize("radius", [0, 1, 2, 9, None])
@pytest.mark.parametrize("numbers", [(2,), (0, 4, 10), tuple(range(PICTURES))])
def test_a_patch_is_compared_with_those_about_its_place(radius: int | None, numbers: tuple[int, ...]) -> None:
    found, _, grids = gallery()
    query = 3 * units(H, W, C, seed=3)
    distance = found.distance(1, query[None], torch.tensor([numbers]), radius)[0]
    for y in range(H):
        for x in range(W):
            near = [
                float(query[y, x] @ grids[number, v, u] / query[y, x].norm())
                for number in numbers
                for v in range(H)
                for u in range(W)
                if radius is None or max(abs(v - y), abs(u - x)) <= radius
            ]
            assert float(distance[y, x]) == pytest.approx(1 - max(near), abs=1e-5)


def test_pictures_are_found_by_the_cosine_of_their_vectors() -> None:
    found, whole, _ = gallery()
    assert found.nearest(5 * whole[[4, 2]], 1).tolist() == [[4], [2]]
    order = (whole @ whole[4]).argsort(descending=True)
    assert torch.equal(found.nearest(whole[4:5], 3)[0], order[:3])
    assert torch.equal(found.nearest(whole[4:5], 99)[0], order)


def test_what_is_held_is_recalled_and_forgotten() -> None:
    found, whole, grids = gallery()
    assert torch.equal(found.recall()[0], whole)
    assert torch.equal(found.recall()[2], grids)
    found.hold(*(rows[:0] for rows in found.recall()))
    assert not found.fitted
    with pytest.raises(NotFitted, match="fit"):
        found.nearest(whole, 1)


def test_another_grid_has_no_same_place_and_is_compared_anywhere() -> None:
    found, _, grids = gallery()
    query = units(W, H, C, seed=3)
    with pytest.raises(BadInput, match=r"patch grid \(5, 4\) differs from \(4, 5\), which was fitted"):
        found.distance(1, query[None], torch.tensor([[0]]), 1)
    distance = found.distance(1, query[None], torch.tensor([[0]]), None)[0]
    assert_close(distance, 1 - (query @ grids[0].flatten(0, 1).T).amax(-1))
