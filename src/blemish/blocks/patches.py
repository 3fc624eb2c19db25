"""Patch features: neighbourhoods, layers joined, images turned."""

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


def join_layers(layers: Sequence[Tensor], *, mode: Literal["bilinear", "nearest"] = "bilinear") -> Tensor:
    """Every layer at the first one's grid, channels side by side: (N, h, w, sum C).

    mode: "bilinear" as in PatchCore; "nearest" repeats the coarser layers, as in PaDiM.
    """
    size = layers[0].shape[1:3]
    straight = False if mode == "bilinear" else None
    resized = [F.interpolate(layer.permute(0, 3, 1, 2), size, mode=mode, align_corners=straight) for layer in layers]
    return torch.cat(resized, 1).permute(0, 2, 3, 1)


def rotate(images: Tensor, degrees: float) -> Tensor:
    """Images turned counter-clockwise about their centre, mirrored beyond the border: (N, C, H, W) -> same shape."""
    height, width = images.shape[-2:]
    angle = torch.deg2rad(torch.tensor(degrees, dtype=images.dtype, device=images.device))
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    matrix = torch.stack([cos, -sin * height / width, zero, sin * width / height, cos, zero]).view(1, 2, 3)
    # affine_grid works in [-1, 1] on each axis: the off-diagonal terms undo the aspect ratio.
    grid = F.affine_grid(matrix.expand(len(images), -1, -1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def relative_layers(depth: int, first: float, last: float) -> tuple[int, ...]:
    """Every layer between two fractions of the depth, at least one: (12, .5, .75) -> (6, 7, 8, 9)."""
    low = max(1, round(depth * first))
    return tuple(range(low, max(low, round(depth * last)) + 1))
