from __future__ import annotations

import sys

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from blemish.blocks import memory
from blemish.blocks.memory import MemoryBank, Metric, Search, sum_distances
from blemish.blocks.near_rows import NEAR, read_nearest
from blemish.errors import BadInput, MissingExtra, NotFitted

METRICS: list[Metric] = ["cosine", "euclidean"]
by_metric = pytest.mark.parametrize("metric", METRICS)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def bank(rows: Tensor, metric: Metric = "cosine", search: Search = "torch") -> MemoryBank:
    made = MemoryBank(metric, search=search)
    made.hold(F.normalize(rows, dim=-1) if metric == "cosine" else rows)
    return made


def brute(query: Tensor, rows: Tensor, metric: Metric) -> Tensor:
    """Every distance in float64: (..., D) x (M, D) -> (..., M)."""
    a, b = query.double(), rows.double()
    if metric == "euclidean":
        return (a.unsqueeze(-2) - b).square().sum(-1).sqrt()
    return 1 - torch.cosine_similarity(a.unsqueeze(-2), b, dim=-1)


@by_metric
@pytest.mark.parametrize("k", [1, 2, 7])
@pytest.mark.parametrize("block", [1, 50, 1 << 22])
def test_the_nearest_rows_are_those_of_a_full_search(
    metric: Metric, k: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "BLOCK", block)
    rows, query = drawn(53, 8), drawn(2, 3, 4, 8, seed=1)
    distances, numbers = bank(rows, metric).nearest(query, k)
    expected = brute(query, rows, metric).topk(k, largest=False)
    assert torch.equal(numbers, expected.indices)
    assert_close(distances.double(), expected.values, rtol=1e-5, atol=1e-6)


def test_many_queries_are_searched_in_parts() -> None:
    rows, query = drawn(30, 4), drawn(2500, 4, seed=1)
    assert torch.equal(bank(rows).nearest(query)[1], brute(query, rows, "cosine").topk(1, largest=False).indices)


@by_metric
def test_distance_is_that_of_the_nearest_row(metric: Metric) -> None:
    rows, query = drawn(20, 5), drawn(3, 5, seed=1)
    made = bank(rows, metric)
    assert torch.equal(made.distance(query), made.nearest(query)[0].squeeze(-1))
    assert made.distance(query[0]).shape == ()


@by_metric
@pytest.mark.parametrize(("share", "count"), [(0.0001, 1), (0.2, 4), (0.21, 5), (1.0, 20)])
def test_the_distance_to_a_share_of_the_rows_leaves_out_the_nearest(metric: Metric, share: float, count: int) -> None:
    rows = drawn(20, 5)
    ordered = brute(rows[:3], rows, metric).sort().values  # of each row itself first, 0
    expected = ordered[:, 1 : count + 1] if count < 20 else ordered
    found = bank(rows, metric).distance(rows[:3], share=share)
    assert_close(found.double(), expected.mean(1), rtol=1e-4, atol=1e-6)


@by_metric
def test_a_row_of_the_bank_is_at_distance_0_however_long_it_is(metric: Metric) -> None:
    rows = drawn(40, 16) * 1000
    assert bank(rows, metric).distance(rows).abs().max() < 1e-12


def test_close_rows_keep_the_digits_of_their_distance() -> None:
    row = drawn(1, 64) * 100
    found = bank(row, "euclidean").distance(row + 2**-10)
    assert_close(found, torch.full((1,), 2**-10 * 8.0), rtol=0.02, atol=0)


def test_cosine_distance_runs_from_0_to_2_and_ignores_length() -> None:
    made = bank(torch.tensor([[2.0, 0.0]]))
    found = made.distance(torch.tensor([[5.0, 0.0], [0.0, 3.0], [-0.1, 0.0]]))
    assert_close(found, torch.tensor([0.0, 1.0, 2.0]))


def test_more_neighbours_than_rows_are_as_many_as_there_are() -> None:
    distances, numbers = bank(drawn(3, 4), "euclidean").nearest(drawn(2, 4, seed=1), 9)
    assert distances.shape == (2, 3)
    assert [sorted(row) for row in numbers.tolist()] == [[0, 1, 2]] * 2


def test_an_empty_bank_says_so() -> None:
    with pytest.raises(NotFitted, match="call fit"):
        MemoryBank().nearest(drawn(2, 4))


def test_unknown_metrics_and_searches_are_refused() -> None:
    with pytest.raises(BadInput, match="choose cosine or euclidean"):
        MemoryBank("manhattan")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="torch or faiss"):
        MemoryBank(search="annoy")  # type: ignore[arg-type]


def test_remembering_again_replaces_the_bank_and_keeps_no_hold_of_the_rows() -> None:
    made, rows = bank(drawn(5, 3), "euclidean"), drawn(4, 3, seed=1)
    made.hold(rows)
    kept = made.rows.clone()
    rows.zero_()
    assert torch.equal(made.rows, kept)
    assert made.rows.shape == (4, 3)


def test_numbers_lie_beside_the_rows() -> None:
    made = MemoryBank("euclidean", beside=["words"])
    rows, words = drawn(5, 3), drawn(5, seed=1)
    made.hold(rows, words)
    assert all(torch.equal(found, given) for found, given in zip(made.recall(), (rows, words), strict=True))
    assert torch.equal(made.get_buffer("words")[made.nearest(rows)[1].squeeze(-1)], words)
    made.hold(rows[:0], words[:0])
    assert not made.fitted


@by_metric
def test_what_stands_beside_moves_little_where_another_row_becomes_the_nearest(metric: Metric) -> None:
    made = MemoryBank(metric, beside=["words"])
    made.hold(torch.eye(8)[:3], torch.tensor([0.2, 0.6, 9.0]))
    steps = torch.linspace(-1e-6, 1e-6, 5)
    query = F.normalize(torch.stack([1 + steps, 1 - steps, *torch.zeros(6, 5)], 1), dim=-1)
    _, read = read_nearest(made, query, "words")
    assert len(set(made.nearest(query)[1].squeeze(-1).tolist())) == 2  # one after the other
    assert_close(read, torch.full((5,), 0.4), rtol=0, atol=0.02)
    far = read_nearest(made, torch.eye(8)[:3], "words")
    assert_close(far, (torch.zeros(3), torch.tensor([0.2, 0.6, 9.0])))


@by_metric
@pytest.mark.parametrize("count", [3, NEAR, NEAR + 2])
def test_what_stands_beside_never_jumps_however_many_rows_tie(metric: Metric, count: int) -> None:
    made = MemoryBank(metric, beside=["words"])
    made.hold(torch.eye(8).double(), torch.tensor([0.2, 9.0, 0.6, 3.0, 7.0, 1.0, 50.0, 60.0]).double())
    angles = torch.linspace(0, 6.3, 1000).double()[:, None] + torch.arange(count) * 6.3 / count
    query = F.pad(1 + 1e-6 * angles.cos(), (0, 8 - count))  # one after the other is the nearest, the second, the third
    _, read = read_nearest(made, F.normalize(query, dim=-1), "words")
    assert len(set(made.nearest(query)[1].squeeze(-1).tolist())) == count
    assert read.diff().abs().max() < 0.1
    assert read.max() < 9


def test_a_bank_of_one_row_says_what_stands_beside_it() -> None:
    made = MemoryBank(beside=["words"])
    made.hold(torch.eye(4)[:1], torch.tensor([0.7]))
    assert_close(read_nearest(made, drawn(2, 3, 4), "words")[1], torch.full((2, 3), 0.7))


@by_metric
@pytest.mark.parametrize("k", [1, 4])
def test_faiss_finds_the_same(metric: Metric, k: int) -> None:
    pytest.importorskip("faiss")
    rows, query = drawn(200, 8), drawn(3, 10, 8, seed=1)
    ours, theirs = bank(rows, metric).nearest(query, k), bank(rows, metric, "faiss").nearest(query, k)
    assert torch.equal(ours[1], theirs[1])
    assert_close(ours[0], theirs[0], rtol=0, atol=0)


def test_faiss_takes_rows_that_are_not_contiguous() -> None:
    pytest.importorskip("faiss")
    query = drawn(8, 30, seed=1).T
    made = bank(drawn(50, 8), "euclidean", "faiss")
    assert torch.equal(made.nearest(query)[1], made.nearest(query.contiguous())[1])


def test_without_faiss_the_way_to_install_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtra, match=r"pip install 'blemish\[faiss\]'"):
        bank(drawn(4, 3), search="faiss").nearest(drawn(2, 3))


def test_distances_of_layers_are_added_up_in_the_size_of_the_picture() -> None:
    banks = [bank(drawn(5, 8, seed=at)) for at in range(2)]
    layers = [drawn(3, 4, 4, 8, seed=2), drawn(3, 2, 2, 8, seed=3)]
    found = sum_distances(banks, layers, (4, 4), share=0.5)
    second = banks[1].distance(layers[1], share=0.5)
    corners = found[:, ::3, ::3] - banks[0].distance(layers[0], share=0.5)[:, ::3, ::3]
    assert found.shape == (3, 4, 4)
    assert_close(corners, second)
