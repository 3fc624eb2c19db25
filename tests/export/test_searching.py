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
from blemish.export.searching import GROUP, search_by_whole_numbers
from blemish.export.tracing import Traced, trace
from blemish.runtime.graph import open_model

pytestmark = IN_ONE_PROCESS
ROWS = 2 * GROUP + 22  # the last group has fewer


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
