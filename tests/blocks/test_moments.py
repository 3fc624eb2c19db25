from __future__ import annotations

import torch
from torch import Tensor
from torch.testing import assert_close

from blemish.blocks.moments import Moments, Sums, mean_and_covariance, moments


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) + 50


def empty(together: int = 3) -> Sums:
    return Sums("rows: N D", dtype=torch.float32, add_up=moments, together=together)


def test_one_example_has_no_covariance() -> None:
    _, covariance = mean_and_covariance(moments(drawn(1, 4)))
    assert covariance.abs().max() < 1e-9


def test_sums_of_parts_are_those_of_all() -> None:
    rows, found = drawn(30, 4), empty(7)
    found.keep((rows,))
    for one, other in zip(found.total(), moments(rows), strict=True):
        assert_close(one, other, rtol=1e-12, atol=0)


def same(one: Moments, other: Moments) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_absorbing_the_first_rows_changes_no_bit() -> None:
    rows, whole = drawn(50, 5), empty()
    whole.keep((rows,))
    for count in range(1, 50):
        some = empty()
        taken = some.absorb((rows[:count],))
        assert taken == count // 3 * 3
        some.keep((rows[taken:],))
        assert same(some.total(), whole.total())
        more = some.absorb((rows[taken:],))
        some.keep((rows[taken + more :],))
        assert same(some.total(), whole.total())
        assert len(some.rows()[0]) == 2


def test_adding_up_leaves_rows_and_absorbed_sums_as_they_are() -> None:
    rows, some = drawn(9, 4), empty()
    before = rows.clone()
    some.absorb((rows[:6],))
    some.keep((rows[6:],))
    first = some.total()
    assert same(some.total(), first)
    assert torch.equal(rows, before)
    some.forget()
    assert not some.fitted
