from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from blemish.blocks.coreset import greedy_k_center
from blemish.blocks.streaming import cover_rows, covering_radius


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def streamed(rows: Tensor, lot: int, limit: int) -> tuple[Tensor, list[float]]:
    """What stays of rows that come in lots, and the radius after each."""
    bank, radius, radii = rows[:0], 0.0, []
    for new in rows.split(lot):
        joined = torch.cat([bank, new])
        found = cover_rows(joined, len(bank), limit, radius)
        bank, radius = joined[found.numbers], found.radius
        radii.append(radius)
        assert len(bank) <= limit
    return bank, radii


def gap(rows: Tensor, count: int) -> float:
    """How far greedy choice leaves a row from the `count` chosen: no choice reaches less than half of that."""
    chosen = greedy_k_center(rows, count, torch.full((len(rows),), torch.inf))
    return covering_radius(rows, rows[chosen])


def test_everything_stays_as_long_as_there_is_room() -> None:
    rows = drawn(50, 4)
    bank, radii = streamed(rows, 10, 50)
    assert torch.equal(bank, rows)
    assert radii == [0.0] * 5


def test_rows_stay_in_their_order_and_old_ones_come_first() -> None:
    found = cover_rows(drawn(60, 3), 30, 40, 0.0)
    assert found.numbers.tolist() == sorted(found.numbers.tolist())
    assert len(found.numbers) == 35  # thinned to 7/8 of the limit
    assert found.radius > 0


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), lot=st.integers(1, 60), limit=st.integers(4, 60), width=st.integers(1, 5))
def test_every_row_of_a_stream_lies_as_near_to_one_that_stays_as_promised(
    seed: int, lot: int, limit: int, width: int
) -> None:
    rows = drawn(200, width, seed=seed)
    bank, radii = streamed(rows, lot, limit)
    assert radii == sorted(radii)
    thinned = [radii[0], *(later for earlier, later in pairwise(radii) if later != earlier)]
    assert covering_radius(rows, bank) <= sum(thinned) + 1e-4
    # At most twice what the best choice reaches, which is at most what greedy choice among all rows does.
    assert radii[-1] <= 2 * gap(rows, limit * 7 // 8) + 1e-4


def test_a_row_near_to_what_stays_is_left_out_and_a_far_one_is_kept() -> None:
    known = torch.tensor([[0.0, 0.0], [10.0, 0.0]])
    new = torch.tensor([[0.5, 0.0], [5.0, 0.0], [5.2, 0.0], [10.0, 0.9]])
    found = cover_rows(torch.cat([known, new]), 2, 10, 1.0)
    assert found.radius == 1.0
    assert found.numbers.tolist()[:2] == [0, 1]
    assert len(found.numbers) == 3
    assert found.numbers[2] in (3, 4)


def test_thinning_comes_seldom() -> None:
    """Once in an eighth of the limit of rows that are new, or less often where they are not."""
    _, radii = streamed(drawn(4000, 6), 40, 400)
    changes = sum(one != other for one, other in pairwise(radii))
    assert 0 < changes <= 4000 / 50


def test_a_stream_is_covered_about_as_well_as_all_rows_at_once() -> None:
    rows = drawn(3000, 8)
    bank, _ = streamed(rows, 100, 300)
    at_once = greedy_k_center(rows, len(bank), torch.full((len(rows),), torch.inf))
    assert covering_radius(rows, bank) <= 1.5 * covering_radius(rows, rows[at_once])


def test_rows_at_even_distances_are_not_covered_by_a_few() -> None:
    """In many dimensions all rows are about as far apart: what stays must still fill the memory."""
    bank, _ = streamed(drawn(2000, 400), 200, 240)
    assert len(bank) >= 240 * 7 // 8


def test_the_same_rows_give_the_same_cover() -> None:
    rows = drawn(100, 300)
    assert torch.equal(cover_rows(rows, 0, 50, 0.0).numbers, cover_rows(rows, 0, 50, 0.0).numbers)


@pytest.mark.parametrize("shape", [(7,), (2, 3)])
def test_rows_of_any_shape_are_flattened(shape: tuple[int, ...]) -> None:
    rows = drawn(30, *shape)
    assert torch.equal(cover_rows(rows, 0, 10, 0.0).numbers, cover_rows(rows.flatten(1), 0, 10, 0.0).numbers)


def test_nothing_new_changes_nothing() -> None:
    rows = drawn(10, 3)
    found = cover_rows(rows, 10, 10, 0.5)
    assert found.numbers.tolist() == list(range(10))
    assert found.radius == 0.5
    assert covering_radius(rows[:0], rows) == 0.0


def test_greedy_choice_stops_where_everything_is_near() -> None:
    rows = torch.tensor([[0.0], [1.0], [10.0], [11.0], [30.0]])
    chosen = greedy_k_center(rows, 5, torch.full((5,), torch.inf), reach=2.0)
    assert len(chosen) == 3
    assert not len(greedy_k_center(rows, 5, torch.full((5,), 1.0), reach=2.0))
