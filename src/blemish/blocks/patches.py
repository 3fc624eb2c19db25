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
    if torch.compiler.is_exporting():  # to whose operators it is slow
        return narrow(_neighbourhoods(patches, size).transpose(1, 2).unflatten(1, (h, w)), width)
    values = F.unfold(patches.permute(0, 3, 1, 2), size, padding=size // 2)  # (N, C * size * size, h * w)
    return narrow(values.transpose(1, 2).unflatten(1, (h, w)), width)


def narrow(patches: Tensor, width: int) -> Tensor:
    """The numbers of each place averaged to so many, by adaptive pooling: (N, h, w, C) -> (N, h, w, width)."""
    h, w = patches.shape[1:3]
    if torch.compiler.is_exporting():
        return _pool_rows(patches.permute(0, 3, 1, 2).flatten(2), width).transpose(1, 2).reshape(-1, h, w, width)
    return F.adaptive_avg_pool1d(patches.flatten(1, 2), width).view(-1, h, w, width)


def _neighbourhoods(patches: Tensor, size: int) -> Tensor:
    """As torch's `unfold`: (N, h, w, C) -> (N, C * size * size, h * w)."""
    (h, w), margin = patches.shape[1:3], size // 2
    padded = F.pad(patches.permute(0, 3, 1, 2), (margin, margin, margin, margin))
    seen = [padded[:, :, y : y + h, x : x + w] for y in range(size) for x in range(size)]
    return torch.stack(seen, 2).flatten(3).flatten(1, 2)


def _pool_rows(values: Tensor, width: int) -> Tensor:
    """As torch's `adaptive_avg_pool1d`, along the second axis: (N, L, P) -> (N, width, P)."""
    length = values.shape[1]
    reach = [range(at * length // width, -(-(at + 1) * length // width)) for at in range(width)]
    found = values.new_zeros(1, width, 1)
    for step in range(max(map(len, reach))):
        taken = torch.tensor([each[min(step, len(each) - 1)] for each in reach])
        share = torch.tensor([(step < len(each)) / len(each) for each in reach])
        found = found + values.index_select(1, taken) * share[:, None]
    return found


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
