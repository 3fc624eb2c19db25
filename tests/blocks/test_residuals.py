"""Matched references, and the weights by which they are mixed."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from blemish.blocks.memory import MemoryBank
from blemish.blocks.residuals import matched_reference, place_numbers, residual_maps, ring_numbers, sparsemax


def test_sparsemax_is_the_nearest_point_of_the_simplex() -> None:
    logits = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    found = sparsemax(logits)
    assert_close(found.sum(1), torch.ones(50))
    assert (found == 0).any()
    others = torch.rand(2000, 1, 4, generator=torch.Generator().manual_seed(1))
    others = others / others.sum(-1, keepdim=True)
    assert ((others - logits).norm(dim=-1) >= (found - logits).norm(dim=-1) - 1e-6).all()
    assert_close(sparsemax(torch.tensor([0.0, 5.0])), torch.tensor([0.0, 1.0]))


def bank(rows: Tensor, down: Tensor, across: Tensor) -> MemoryBank:
    made = MemoryBank(beside=("down", "across"))
    made.hold(rows, down, across)
    return made


def test_of_equal_references_the_one_as_far_from_the_middle_is_taken() -> None:
    down, across = place_numbers(1, 2, 2, torch.ones(1))
    assert down.tolist() == [0, 0, 0.5, 0.5]
    assert across.tolist() == [0, 0.5, 0, 0.5]
    assert ring_numbers(*place_numbers(1, 1, 4, torch.ones(1)), 1, 4).tolist() == [1.5, 0.5, 0.5, 1.5]
    rows = F.normalize(torch.tensor([[1.0, 0.1], [1.0, -0.1], [0.1, 1.0]]), dim=-1)
    made = bank(rows, *place_numbers(1, 1, 3, torch.ones(1)))
    query = torch.tensor([1.0, 0.0]).expand(1, 1, 3, 2)
    near = matched_reference(made, query, count=3, penalty=1.0, sharpness=100.0)
    assert_close(near[0, 0], rows[[0, 1, 0]])  # as like the query as each other: the distance from the middle decides
    without = matched_reference(made, query, count=3, penalty=0.0, sharpness=100.0)
    assert_close(without[0, 0, 0], without[0, 0, 1])


def test_residuals_are_measured_in_length_and_along_words() -> None:
    good, toward = torch.tensor([[[[1.0, 0.0]]]]), torch.tensor([0.0, 1.0])
    lie, far, along = residual_maps(torch.tensor([[[[0.6, 0.8]]]]), good, toward)
    assert_close((lie, far, along), tuple(torch.tensor([[[each]]]) for each in (0.8, 0.8**0.5, 0.8)))
    assert residual_maps(torch.tensor([[[[0.6, -0.8]]]]), good, toward)[2] == 0
