"""Distances among features that are correlated and unequally scaled."""

from __future__ import annotations

import copy

import torch
from torch.nn import functional as F
from torch.testing import assert_close

from blemish.blocks.memory import MemoryBank
from blemish.blocks.near_rows import read_nearest
from blemish.blocks.whitening import PlacedBank, WhitenedBank, whitening_axes

DRAW = torch.Generator().manual_seed(0)
MIX = torch.tensor([[10.0, 0.0, 0.0], [9.0, 1.0, 0.0], [0.0, 0.0, 0.1]])
ROWS = torch.randn(500, 3, generator=DRAW) @ MIX


def test_whitened_rows_have_no_correlations() -> None:
    white = ROWS @ whitening_axes(ROWS, 1.0, 0.0)
    assert_close(torch.cov(white.T), torch.eye(3), rtol=1e-3, atol=1e-3)
    assert whitening_axes(ROWS, 0.9, 0.0).shape[1] == 1


def test_distances_are_those_of_the_inverse_covariance() -> None:
    bank = WhitenedBank(variance=1.0, shrinkage=0.0)
    bank.hold(ROWS)
    query = torch.tensor([[0.0, 0.0, 2.0]])
    inverse = torch.linalg.inv(torch.cov(ROWS.T))
    apart = query - ROWS
    expected = torch.einsum("mi,ij,mj->m", apart, inverse, apart).sqrt().min()
    assert_close(bank.distance(query)[0], expected, rtol=1e-3, atol=1e-3)


def test_distances_are_the_same_behind_any_invertible_map_but_for_shrinkage() -> None:
    query, told = torch.tensor([[0.0, 0.0, 2.0], [5.0, 1.0, 0.0]]), []
    turn = torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.5, 0.3], [0.2, 0.0, 3.0]])
    for shrinkage in (0.0, 0.07):
        for mapped in (torch.eye(3), turn):
            bank = WhitenedBank(variance=1.0, shrinkage=shrinkage)
            bank.hold(ROWS @ mapped)
            told.append(bank.distance(query @ mapped))
    assert_close(told[1], told[0], rtol=1e-3, atol=1e-3)
    assert (told[3] - told[2]).abs().max() > 0.1


def test_an_oddity_in_a_quiet_channel_counts_for_more_than_without_whitening() -> None:
    bank = WhitenedBank(variance=1.0, shrinkage=0.0)
    bank.hold(ROWS)
    odd = torch.tensor([[15.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    loud, quiet = bank.distance(odd)
    share = quiet / loud
    plain = MemoryBank("euclidean")
    plain.hold(ROWS)
    loud, quiet = plain.distance(odd)
    assert share > 2 * quiet / loud


def test_two_rows_are_about_one_apart_whatever_their_width() -> None:
    for width in (3, 40):
        rows = torch.randn(2000, width, generator=DRAW) * torch.linspace(0.1, 5, width) + 100
        bank = WhitenedBank(variance=1.0, shrinkage=0.0, even=True)
        bank.hold(rows)
        apart = (bank.rows[:1000] - bank.rows[1000:]).square().sum(1)
        assert_close(apart.mean(), torch.tensor(1.0), rtol=0.1, atol=0)


def test_rows_far_from_the_origin_are_found_as_near_it() -> None:
    far, near = WhitenedBank(variance=1.0), WhitenedBank(variance=1.0)
    rows = torch.randn(300, 4, generator=DRAW)
    far.hold(rows + 1000)
    near.hold(rows)
    assert torch.equal(far.nearest(rows + 1000)[1][:, 0], torch.arange(300))
    assert_close(far.nearest(rows[:9] + 1000.5)[0], near.nearest(rows[:9] + 0.5)[0], rtol=1e-2, atol=1e-2)


def test_numbers_beside_rows_are_read_where_a_query_lies() -> None:
    bank = WhitenedBank(variance=1.0, beside=["words"])
    bank.hold(ROWS, torch.arange(500.0))
    assert_close(read_nearest(bank, ROWS[:20], "words")[1], torch.arange(20.0), rtol=0, atol=0.5)
    assert torch.equal(bank.recall()[1], torch.arange(500.0))


def test_it_recalls_what_it_was_given_and_forgets() -> None:
    bank = WhitenedBank()
    bank.hold(ROWS)
    assert torch.equal(bank.recall()[0], ROWS)
    bank.hold(ROWS[:0])
    assert not bank.fitted


def test_a_placed_bank_compares_as_the_other_one_does() -> None:
    few, query = ROWS[:7], ROWS[20:24]
    for other in (WhitenedBank(variance=1.0), MemoryBank("cosine"), MemoryBank("euclidean")):
        other.hold(F.normalize(ROWS, dim=-1) if other.metric == "cosine" else ROWS)
        placed = PlacedBank(other)
        placed.hold(few)
        assert torch.equal(placed.recall()[0], few)
        apart = (other.place(query)[:, None] - other.place(few)).norm(dim=-1).amin(1)
        expected = apart.square() / 2 if other.metric == "cosine" else apart
        assert_close(placed.distance(query), expected)
        copied = copy.deepcopy([other, placed])
        copied[0].forget()
        assert_close(placed.distance(query), expected)


def test_equal_rows_have_finite_axes() -> None:
    assert whitening_axes(torch.ones(4, 3), 0.99, 0.07).isfinite().all()


def test_variances_are_shrunk_toward_the_mean_of_those_kept() -> None:
    values = torch.linalg.eigvalsh(torch.cov(ROWS.T))[-2:]
    expected = 0.9 * values + 0.1 * values.mean()
    axes = whitening_axes(ROWS, 0.9999, 0.1)
    assert_close(axes.square().sum(0).flip(0), 1 / expected, rtol=1e-3, atol=1e-3)
