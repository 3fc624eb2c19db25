"""Patch features: neighbourhoods, layers chosen and joined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F


def pool_neighbours(patches: Tensor, size: int = 3) -> Tensor:
    """Mean over each size x size neighbourhood, outside counted as 0: (N, h, w, C) -> same shape."""
    return F.avg_pool2d(patches.permute(0, 3, 1, 2), size, 1, size // 2).permute(0, 2, 3, 1)


def describe_neighbours(patches: Tensor, width: int, size: int = 3) -> Tensor:
    """All values of each size x size neighbourhood averaged to `width` numbers: (N, h, w, C) -> (N, h, w, width).

    PatchCore's local aggregation: a channel's size * size values stand side by side, outside counted as 0, and
    adaptive average pooling runs over the row of C * size * size.
    """
    h, w = patches.shape[1:3]
    values = F.unfold(patches.permute(0, 3, 1, 2), size, padding=size // 2)  # (N, C * size * size, h * w)
    return F.adaptive_avg_pool1d(values.transpose(1, 2), width).view(-1, h, w, width)


def join_layers(
    layers: Sequence[Tensor], *, mode: Literal["bilinear", "nearest"] = "bilinear", size: Sequence[int] = ()
) -> Tensor:
    """Every layer at one grid, the first one's unless a size (h, w) is given, channels side by side: (N, h, w, sum C).

    mode: "bilinear" as in PatchCore; "nearest" repeats the coarser layers, as in PaDiM.
    """
    size = list(size or layers[0].shape[1:3])
    straight = False if mode == "bilinear" else None
    resized = [
        each if list(each.shape[2:]) == size else F.interpolate(each, size, mode=mode, align_corners=straight)
        for each in (layer.permute(0, 3, 1, 2) for layer in layers)
    ]
    return torch.cat(resized, 1).permute(0, 2, 3, 1)


def middle(depth: int) -> tuple[int, int]:
    """The layers at a half and three quarters of a network's depth: 2 and 3 of four stages."""
    return max(1, depth // 2), min(depth, max(depth // 2 + 1, depth * 3 // 4))
