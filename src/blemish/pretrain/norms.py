"""Batch norms for the time of training: put behind every convolution, and folded into it afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)
Inner = TypeVar("Inner", bound=nn.Module)


class NormedConvolution(nn.Module):
    """A convolution without its bias, then a batch norm."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.convolution = convolution
        self.norm = nn.BatchNorm2d(convolution.out_channels)
        if convolution.bias is not None:
            with torch.no_grad():  # the norm's shift does what the bias did
                self.norm.bias.copy_(convolution.bias)
        convolution.bias = None

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C', h', w')."""
        normed: Tensor = self.norm(self.convolution(x))
        return normed


def with_norms(module: Module) -> Module:
    """The same module, a batch norm behind each of its convolutions, the inner ones too."""
    return _exchanged(module, nn.Conv2d, NormedConvolution)


def without_norms(module: Module) -> Module:
    """The same module, each batch norm folded into its convolution: in evaluation the function does not change."""
    return _exchanged(module, NormedConvolution, fold)


def _exchanged(module: Module, kind: type[Inner], made: Callable[[Inner], nn.Module]) -> Module:
    """The same module with other ones in place of the inner ones of a kind; convolutions that have norms are whole."""
    for name, child in list(module.named_children()):
        if isinstance(child, kind):
            setattr(module, name, made(child))
        elif not isinstance(child, NormedConvolution):
            _exchanged(child, kind, made)
    return module


@torch.no_grad()
def fold(normed: NormedConvolution) -> nn.Conv2d:
    """One convolution with bias that does what the pair does in evaluation."""
    convolution, norm = normed.convolution, normed.norm
    assert norm.running_mean is not None
    assert norm.running_var is not None
    factor = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    convolution.weight.copy_(convolution.weight.double() * factor[:, None, None, None])
    convolution.bias = nn.Parameter((norm.bias.double() - norm.running_mean.double() * factor).float())
    return convolution


@torch.no_grad()
def freeze_norms(module: nn.Module, like: Mapping[str, Tensor]) -> None:
    """From now on norms use the statistics in `like`, a state, in training too: pictures unlike the others of their
    batch are then seen as they will be seen one by one, and what goes wrong with them is learned from.
    """
    for name, inner in module.named_modules():
        if isinstance(inner, NormedConvolution):
            inner.norm.eval()
            for kind, buffer in inner.norm.named_buffers():
                buffer.copy_(like[f"{name}.norm.{kind}"])


class _Watched(nn.Module):
    """A convolution, and the mean and variance of all that came out of it."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.convolution = convolution
        self.seen = nn.BatchNorm2d(convolution.out_channels, momentum=None, affine=False)  # None: all batches count

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.convolution(x)
        self.seen(y)
        return y


@torch.no_grad()
def insert_norms(module: Module, inputs: Iterable[Tensor]) -> Module:
    """The same folded module with batch norms that undo what they do to these inputs, so that it goes on unchanged.

    Without it, norms would take away the sizes of all features, which is what the module has learned.
    """
    _exchanged(module, nn.Conv2d, _Watched).train()
    for batch in inputs:
        module(batch)
    return _exchanged(module, _Watched, _undone)


def _undone(watched: _Watched) -> NormedConvolution:
    """A norm with the statistics that were seen, and with the scale and shift that give back what came in."""
    mean, variance = watched.seen.running_mean, watched.seen.running_var
    assert mean is not None
    assert variance is not None
    bias = watched.convolution.bias
    normed = NormedConvolution(watched.convolution)
    norm = normed.norm
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(mean if bias is None else mean - bias)
    norm.running_var.copy_(variance)
    norm.bias.copy_(mean)
    norm.weight.copy_((variance + norm.eps).sqrt())
    return normed
