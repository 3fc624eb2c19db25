"""Batch norms for the time of training: put behind every convolution, and folded into it afterwards."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)


class NormedConvolution(nn.Module):
    """A convolution without its bias, then a batch norm."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.convolution = convolution
        self.norm = nn.BatchNorm2d(convolution.out_channels)
        if convolution.bias is not None:
            with torch.no_grad():  # a folded network goes on where it was: its bias is the norm's shift
                self.norm.bias.copy_(convolution.bias)
        convolution.bias = None

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C', h', w')."""
        normed: Tensor = self.norm(self.convolution(x))
        return normed


def with_norms(module: Module) -> Module:
    """The same module, a batch norm behind each of its convolutions, the inner ones too."""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Conv2d):
            setattr(module, name, NormedConvolution(child))
        elif not isinstance(child, NormedConvolution):
            with_norms(child)
    return module


def without_norms(module: Module) -> Module:
    """The same module, each batch norm folded into its convolution: in evaluation the function does not change."""
    for name, child in list(module.named_children()):
        if isinstance(child, NormedConvolution):
            setattr(module, name, folded(child))
        else:
            without_norms(child)
    return module


@torch.no_grad()
def folded(normed: NormedConvolution) -> nn.Conv2d:
    """One convolution with bias that does what the pair does in evaluation."""
    convolution, norm = normed.convolution, normed.norm
    assert norm.running_mean is not None
    assert norm.running_var is not None
    factor = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    convolution.weight.copy_(convolution.weight.double() * factor[:, None, None, None])
    convolution.bias = nn.Parameter((norm.bias.double() - norm.running_mean.double() * factor).float())
    return convolution


@torch.no_grad()
def settle(module: nn.Module, inputs: list[Tensor]) -> None:
    """Statistics of a folded network's outputs on these inputs become its norms', so that it goes on unchanged."""
    norms = [m for m in module.modules() if isinstance(m, NormedConvolution)]
    for each in norms:
        each.norm.momentum = None  # cumulative average
        each.norm.reset_running_stats()
    module.train()
    for batch in inputs:
        module(batch)
    for each in norms:
        each.norm.momentum = 0.1
