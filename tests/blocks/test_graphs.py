"""Diffusion and assignment against their plain definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment, minimize
from torch.testing import assert_close

from blemish.blocks import graphs
from blemish.blocks.graphs import assign, diffuse, patch_graph, propagate


def unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return found


@pytest.mark.parametrize("chunk", [3, 1024])
def test_rows_become_partly_the_mean_of_their_neighbours(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "CHUNK_OF_ROWS", chunk)
    rows = np.random.default_rng(0).normal(size=(10, 4))
    first = unit(rows)
    found = first
    for _ in range(2):
        told = np.zeros_like(first)
        for number, row in enumerate(first):
            likeness = first @ row
            likeness[number] = -np.inf
            near = np.argsort(-likeness)[:3]
            weights = np.exp(likeness[near] / 0.1)
            told[number] = (weights / weights.sum()) @ found[near]
        found = unit(0.6 * first + 0.4 * told)
    given = diffuse(torch.from_numpy(rows), neighbours=3, alpha=0.4, hops=2)
    np.testing.assert_allclose(given, found, rtol=1e-6)


def test_a_row_without_neighbours_stays_as_it_is() -> None:
    row = torch.tensor([[3.0, 4.0]])
    assert_close(diffuse(row, neighbours=8, alpha=0.5, hops=2), torch.tensor([[0.6, 0.8]]))


def test_without_strength_each_row_is_a_softmax_and_with_all_of_it_columns_have_their_sums() -> None:
    logits = torch.randn(30, 3, generator=torch.Generator().manual_seed(0))
    prior = torch.tensor([0.5, 0.3, 0.2])
    assert_close(assign(logits, prior, strength=0.0), logits.log_softmax(1))
    shares = assign(logits, prior, strength=1.0, rounds=200).exp()
    assert_close(shares.sum(1), torch.ones(30))
    assert_close(shares.sum(0), 30 * prior, rtol=1e-4, atol=1e-4)
    between = assign(logits, prior, strength=0.5).exp().sum(0)
    plain = logits.softmax(1).sum(0)
    assert ((between - 30 * prior).abs() < (plain - 30 * prior).abs()).all()


def test_the_relaxed_plan_is_the_least_of_its_objective() -> None:
    """Of - <L, P> + sum P (log P - 1) + rho KL(column sums, wanted), rows summing to 1, where rho = s / (1 - s)."""
    logits, strength = np.random.default_rng(1).normal(size=(4, 2)), 0.7
    wanted, rho = 4 * np.array([0.8, 0.2]), 0.7 / 0.3

    def objective(first: NDArray[np.float64]) -> float:
        plan = np.stack([first, 1 - first], 1).clip(1e-9, 1)
        sums = plan.sum(0)
        spread = (plan * (np.log(plan) - 1 - logits)).sum()
        return float(spread + rho * (sums * np.log(sums / wanted) - sums + wanted).sum())

    best = minimize(objective, np.full(4, 0.5), bounds=[(1e-6, 1 - 1e-6)] * 4).x
    found = assign(torch.from_numpy(logits), torch.tensor([0.8, 0.2]).double(), strength=strength, rounds=300).exp()
    np.testing.assert_allclose(found[:, 0], best, atol=1e-3)


def test_sharp_logits_and_even_columns_are_an_assignment() -> None:
    costs = np.random.default_rng(2).normal(size=(5, 5))
    rows, columns = linear_sum_assignment(-costs)
    shares = assign(torch.from_numpy(50 * costs), torch.ones(5).double(), strength=1.0, rounds=2000)
    assert shares.argmax(1).tolist() == columns[rows].tolist()


def test_a_graph_of_patches_joins_the_nearest_and_those_whose_nearest_they_are() -> None:
    places = torch.nn.functional.normalize(torch.randn(2, 9, 4, generator=torch.Generator().manual_seed(0)), dim=-1)
    found = patch_graph(places, 2)
    edges = torch.zeros(9, 9)
    likeness = places[1] @ places[1].T
    for at in range(9):
        others = [other for other in likeness[at].argsort(descending=True).tolist() if other != at]
        for other in others[:2]:
            edges[at, other] = edges[other, at] = 1
    edges += torch.eye(9)
    expected = edges / (edges.sum(1)[:, None] * edges.sum(1)).sqrt()
    assert_close(found[1], expected)


def test_an_initial_residual_keeps_places_apart_however_deep_the_graph_is() -> None:
    first = torch.nn.functional.normalize(torch.randn(1, 12, 4, generator=torch.Generator().manual_seed(0)), dim=-1)
    graph = patch_graph(first, 4)
    spreads = []
    for residual in (0.0, 0.2):
        found = first
        for _ in range(50):
            found = propagate(graph, found, first, residual)
        unit = torch.nn.functional.normalize(found, dim=-1)
        spreads.append(float((unit @ unit.mT).mean()))
    assert spreads[0] > 0.99
    assert spreads[1] < 0.9
