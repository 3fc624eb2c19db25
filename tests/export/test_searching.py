"""The search of a memory in a graph: the rows that torch finds, by other operators, and in whole numbers nearly so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.support.exports import IN_ONE_PROCESS
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.blocks.memory import MemoryBank
from blemish.blocks.near_rows import NEAR, read_nearest
from blemish.export.searching import GROUP, search_by_whole_numbers
from blemish.export.tracing import Traced, trace
from blemish.runtime.graph import open_model

pytestmark = IN_ONE_PROCESS
ROWS = NEAR * GROUP + 22  # the last group has fewer


class Nearest(nn.Module):
    """How far the nearest row is from each place of a picture, and its number."""

    def __init__(self) -> None:
        super().__init__()
        self.bank = MemoryBank()
        rows = torch.randn(ROWS, 48, generator=torch.Generator().manual_seed(0))
        self.bank.hold(F.normalize(rows, dim=-1))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, h, w) -> (N,), (N,)."""
        found, numbers = self.bank.nearest(images.flatten(1))
        return found.squeeze(-1), numbers.squeeze(-1)


class ReadNearest(nn.Module):
    """How far the nearest row is from each place of a picture, and what stands beside it."""

    def __init__(self, rows: Tensor) -> None:
        super().__init__()
        self.bank = MemoryBank(beside=["number"])
        self.bank.hold(rows, torch.arange(len(rows), dtype=torch.float32))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, h, w) -> (N,), (N,)."""
        return read_nearest(self.bank, images.flatten(1), "number")


@pytest.fixture(scope="module")
def module() -> Nearest:
    return Nearest()


@pytest.fixture(scope="module")
def found(module: Nearest) -> Traced:
    return trace(module, {"images": torch.rand(2, 3, 4, 4)}, ["distance", "number"])


def queries(module: Nearest) -> Tensor:
    """Every row, a little off; among them the first and the last of all."""
    noise = 0.02 * torch.randn(ROWS, 48, generator=torch.Generator().manual_seed(1))
    return (module.bank.rows + noise).view(ROWS, 3, 4, 4)


def run(model: Any, images: Tensor) -> tuple[Any, Any]:
    distance, number = open_model(model.SerializeToString(), "onnxruntime", "float32", "it").run(
        {"images": images.numpy()}
    )
    return distance, number


def test_the_rows_that_torch_finds_are_found(module: Nearest, found: Traced) -> None:
    kinds = [node.op_type for node in found.model.graph.node]
    assert "MaxPool" in kinds
    assert "ArgMin" not in kinds
    images = queries(module)
    expected, number = (each.numpy() for each in module(images))
    assert number.tolist() == list(range(ROWS))
    given = run(found.model, images)
    assert np.array_equal(given[1], number)
    np.testing.assert_allclose(given[0], expected, rtol=1e-4)


def test_whole_numbers_find_them_too_and_distances_stay_in_float32(module: Nearest, found: Traced) -> None:
    model = type(found.model).FromString(found.model.SerializeToString())
    search_by_whole_numbers(model)
    kinds = {node.op_type for node in model.graph.node}
    assert "MatMulInteger" in kinds
    assert "Gemm" not in kinds
    images = queries(module)
    given, expected = run(model, images), module(images)
    assert np.array_equal(given[1], expected[1].numpy())
    np.testing.assert_allclose(given[0], expected[0].numpy(), rtol=1e-4)


@pytest.mark.parametrize("count", [ROWS, (NEAR - 1) * GROUP + 1, (NEAR - 1) * GROUP])
def test_what_stands_beside_rows_that_tie_is_what_torch_says(module: Nearest, count: int) -> None:
    rows = module.bank.rows[:count].clone()
    rows[5], rows[count - 9], rows[-1] = rows[0], rows[9], rows[-2]  # of one group, of two, of one with fewer rows
    rows[12] = F.normalize(rows[3] + 1e-3 * rows[4], dim=0)  # nearly
    rows[20], rows[GROUP + 21] = rows[19], rows[19]  # three
    asked = ReadNearest(rows)
    model = trace(asked, {"images": torch.rand(2, 3, 4, 4)}, ["distance", "number"]).model
    assert ("MaxPool" in {node.op_type for node in model.graph.node}) == (count > (NEAR - 1) * GROUP)
    images = queries(module)[:count]
    expected, numbers = (each.numpy() for each in asked(images))
    given = run(model, images)
    np.testing.assert_allclose(given[0], expected, rtol=1e-4)
    np.testing.assert_allclose(given[1], numbers, rtol=1e-3)
    assert numbers[[0, 9, -2, 19]] == pytest.approx([2.5, count / 2, count - 1.5, (60 + GROUP) / 3], rel=1e-5)
