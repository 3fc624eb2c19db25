"""Layers of an encoder fused from the last to the first, as in DPT (Ranftl et al., arXiv:2103.13413)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.blocks.describing import describe_places


class ResidualUnit(nn.Module):
    """x + norm(convolution(relu x)): (N, C, h, w) -> same shape."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        """Neighbours of 3 x 3."""
        return x + cast(Tensor, self.norm(self.convolution(F.relu(x))))


class FusionBlock(nn.Module):
    """What is known so far (N, C, h, w), and of one more layer if there is one, mixed."""

    def __init__(self, width: int, *, more: bool) -> None:
        super().__init__()
        self.added = ResidualUnit(width) if more else None
        self.whole, self.out = ResidualUnit(width), nn.Conv2d(width, width, 1)

    def forward(self, known: Tensor, layer: Tensor | None = None) -> Tensor:
        """The layer passes a unit of its own before it is added."""
        if self.added is not None and layer is not None:
            known = known + self.added(layer)
        mixed: Tensor = self.out(self.whole(known))
        return mixed


class LayerFusion(nn.Module):
    """relu(W_l x_l) of each layer, fused from the last to the first, at the grid of the second (UniADC)."""

    def __init__(self, widths: Sequence[int], output: int) -> None:
        super().__init__()
        self.widths = list(widths)
        self.necks = nn.ModuleList(nn.Linear(width, output, bias=False) for width in widths)
        self.blocks = nn.ModuleList(FusionBlock(output, more=number > 0) for number in range(len(widths)))

    def forward(self, layers: Sequence[Tensor]) -> Tensor:
        """(N, h_l, w_l, C_l) each -> (N, h, w, output)."""
        even = describe_places(layers).split(self.widths, -1)
        grids = [F.relu(neck(layer)).permute(0, 3, 1, 2) for neck, layer in zip(self.necks, even, strict=True)]
        first, *rest = self.blocks
        known = first(grids[-1])
        for block, grid in zip(rest, reversed(grids[:-1]), strict=True):
            known = block(known, grid)
        return cast(Tensor, known).permute(0, 2, 3, 1)


def type_entropy(logits: Tensor, truth: Tensor, numbers: Tensor) -> Tensor:
    """Mean cross entropy of the types (N, K, H, W) where the truth (N, H, W) is 1, of pictures whose type is known.

    numbers: (N,), 1 and more; others are of none that is known. A scalar, 0 where there is nothing to name.
    """
    chosen = torch.where((truth > 0) & (numbers > 0)[:, None, None], numbers[:, None, None] - 1, -1)
    if not (chosen >= 0).any():
        return 0 * logits.sum()
    return F.cross_entropy(logits, chosen, ignore_index=-1)
