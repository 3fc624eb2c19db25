"""Products with a bias and an activation in one pass."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from blemish.encoders.config import Activation
from blemish.encoders.transformer import ACTIVATIONS, product


@pytest.mark.parametrize("activation", [None, *ACTIVATIONS])
@pytest.mark.parametrize("shape", [(1, 64), (2, 5, 64), (3, 4, 5, 64)])
def test_bfloat16_is_multiplied_as_float32_is(shape: tuple[int, ...], activation: Activation | None) -> None:
    torch.manual_seed(0)
    x, weight, bias = (torch.randn(size).bfloat16() for size in (shape, (32, 64), (32,)))
    weight = weight / 8
    exact = F.linear(x.float(), weight.float(), bias.float())
    found = product(x, weight, bias, activation)
    assert found.dtype == torch.bfloat16
    assert_close(found.float(), ACTIVATIONS[activation](exact) if activation else exact, rtol=0.02, atol=0.05)
    x.requires_grad_()
    product(x, weight, bias, activation).sum().backward()
    assert x.grad is not None
