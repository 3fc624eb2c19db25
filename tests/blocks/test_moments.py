from __future__ import annotations

import torch
from torch import Tensor
from torch.testing import assert_close

from blemish.blocks.density import mean_and_covariance
from blemish.blocks.moments import Merged, Moments, moments, settled


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) + 50


def test_sums_lead_to_the_mean_and_covariance() -> None:
    rows = drawn(40, 6)
    for found, expected in zip(settled(moments(rows)), mean_and_covariance([rows]), strict=True):
        assert found.dtype == torch.float64
        assert_close(found, expected, rtol=1e-9, atol=1e-9)
    grids = drawn(9, 3, 4, 5)
    mean, covariance = settled(moments(grids))
    assert mean.shape == (3, 4, 5)
    assert_close(covariance[1, 2].float(), torch.cov(grids[:, 1, 2].double().T).float())


def test_one_example_has_no_covariance() -> None:
    _, covariance = settled(moments(drawn(1, 4)))
    assert covariance.abs().max() < 1e-9


def test_sums_of_parts_are_those_of_all() -> None:
    rows = drawn(30, 4)
    found = Merged().plus(moments(part) for part in rows.split(7))
    for one, other in zip(found, moments(rows), strict=True):
        assert_close(one, other, rtol=1e-12, atol=0)


def same(one: Moments, other: Moments) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_merging_the_first_parts_changes_no_bit() -> None:
    parts = [moments(part) for part in drawn(50, 5).split(3)]
    whole = Merged().plus(parts)
    for count in range(1, len(parts)):
        merged = Merged()
        merged.merge(parts[:count])
        assert same(merged.plus(parts[count:]), whole)
        merged.merge(parts[count:])
        assert same(merged.plus([]), whole)
