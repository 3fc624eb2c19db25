from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from blemish.blocks import memory
from blemish.blocks.coreset import coreset, greedy_k_center


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def naive(rows: Tensor, count: int, gap: Tensor) -> list[int]:
    """One row at a time: the one farthest from the chosen, in float64."""
    rows, gap, chosen = rows.double(), gap.double().clone(), []
    for _ in range(count):
        chosen.append(int(gap.argmax()))
        gap = torch.minimum(gap, (rows - rows[chosen[-1]]).square().sum(1).sqrt())
        gap[chosen] = -1
    return chosen


def gaps(rows: Tensor, numbers: list[int], gap: Tensor) -> Tensor:
    """How far each choice was from those before it."""
    rows, gap = rows.double(), gap.double().clone()
    found = []
    for number in numbers:
        found.append(gap[number].clone())
        gap = torch.minimum(gap, (rows - rows[number]).square().sum(1).sqrt())
    return torch.stack(found)


@pytest.mark.parametrize("pool", [1, 2, 7, 64, 4096])
@pytest.mark.parametrize("block", [10, 1 << 22])
@pytest.mark.parametrize("seed", range(3))
def test_choice_in_pools_is_the_greedy_choice(
    pool: int, block: int, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "BLOCK", block)
    rows = drawn(200, 6, seed=seed)
    gap = (rows - rows[:5].mean(0)).square().sum(1).sqrt()
    assert greedy_k_center(rows, 40, gap, pool=pool).tolist() == naive(rows, 40, gap)


def test_features_far_from_the_origin_are_told_apart() -> None:
    """The products behind the distances cancel there: |r|^2 is 10,000 times the distances."""
    rows = drawn(300, 4) + 100
    gap = (rows - rows[0]).square().sum(1).sqrt()
    assert greedy_k_center(rows, 60, gap, pool=10).tolist() == naive(rows, 60, gap)


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), pool=st.integers(1, 40), levels=st.integers(1, 4), count=st.integers(1, 40))
def test_among_ties_each_choice_is_as_far_as_the_greedy_one_and_none_comes_twice(
    seed: int, pool: int, levels: int, count: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(levels, (40, 2), generator=generator).float()
    gap = (rows - rows[0]).square().sum(1).sqrt()
    found = greedy_k_center(rows, count, gap, pool=pool).tolist()
    assert len(set(found)) == count
    # Which of several equally far rows is chosen first is open, and changes what is left: each choice must be a best.
    best = [_best(rows, found[:taken], gap) for taken in range(count)]
    assert torch.allclose(gaps(rows, found, gap), torch.stack(best), atol=1e-3)


def _best(rows: Tensor, chosen: list[int], gap: Tensor) -> Tensor:
    """The largest gap that is left after these choices."""
    left = gap.double().clone()
    for number in chosen:
        left = torch.minimum(left, (rows - rows[number]).double().square().sum(1).sqrt())
    return left.max()


@pytest.mark.parametrize("pool", [1, 3, 4096])
def test_identical_rows_are_chosen_once_each(pool: int) -> None:
    rows = torch.full((20, 3), 7.3)
    assert sorted(greedy_k_center(rows, 20, torch.zeros(20), pool=pool).tolist()) == list(range(20))


def test_the_start_is_left_as_it_was() -> None:
    rows = drawn(30, 3)
    gap = rows.square().sum(1)
    before = rows.clone(), gap.clone()
    greedy_k_center(rows, 5, gap)
    assert torch.equal(rows, before[0])
    assert torch.equal(gap, before[1])


@pytest.mark.parametrize("width", [128, 4])
def test_a_coreset_is_decided_by_its_generator(width: int) -> None:
    rows = drawn(120, 16)
    first, second, other = (
        coreset(rows, 12, generator=torch.Generator().manual_seed(seed), width=width) for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert len(set(first.tolist())) == 12


def test_a_coreset_of_few_features_is_greedy_from_the_mean_distance_to_random_rows() -> None:
    rows, seed = drawn(80, 5), 4
    starts = torch.randint(80, (10,), generator=torch.Generator().manual_seed(seed))
    gap = torch.stack([(rows - rows[start]).square().sum(1).sqrt() for start in starts]).mean(0)
    assert coreset(rows, 9, generator=torch.Generator().manual_seed(seed)).tolist() == naive(rows, 9, gap)


def test_a_projection_keeps_distances_about_as_they_were() -> None:
    """Clusters far apart in 600 dimensions are each found once after the projection to 128."""
    centres = drawn(6, 600) * 10
    rows = centres.repeat(30, 1) + drawn(180, 600, seed=1) * 0.1
    chosen = coreset(rows, 6, generator=torch.Generator().manual_seed(0))
    nearest = torch.cdist(rows[chosen], centres).argmin(1)
    assert sorted(nearest.tolist()) == list(range(6))


def test_a_coreset_has_no_more_rows_than_there_are() -> None:
    rows = drawn(6, 3)
    assert sorted(coreset(rows, 50, generator=torch.Generator().manual_seed(0)).tolist()) == list(range(6))
