"""Sliding windows over a patch grid, and their scores back on the patches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish.blocks.maps import upsample


def sliding_windows(height: int, width: int, size: int) -> Tensor:
    """Patch numbers in each size x size window, stride 1: ((height - size + 1) * (width - size + 1), size * size)."""
    numbers = torch.arange(height * width).view(height, width)
    return numbers.unfold(0, size, 1).unfold(1, size, 1).flatten(0, 1).flatten(1)


def overlapping_windows(height: int, width: int, size: float, stride: float) -> list[tuple[slice, slice]]:
    """Rows and columns of windows that cover a grid and overlap, row by row; size and stride are shares of its sides.

    The last of a row or a column end where the grid does.
    """
    down, across = (_spans(length, size, stride) for length in (height, width))
    return [(rows, columns) for rows in down for columns in across]


def enlarge_window(images: Tensor, window: tuple[slice, slice], size: Sequence[int]) -> Tensor:
    """What a window of a grid of that size shows, as large as the picture, bilinear: (N, C, H, W) -> same shape."""
    down, across = (pixels // places for pixels, places in zip(images.shape[-2:], size, strict=True))
    rows, columns = window
    part = images[..., rows.start * down : rows.stop * down, columns.start * across : columns.stop * across]
    return F.interpolate(part, images.shape[-2:], mode="bilinear", align_corners=True)


def mean_of_windows(grids: Sequence[Tensor], windows: Sequence[tuple[slice, slice]], size: Sequence[int]) -> Tensor:
    """Mean, at each place of a grid of that size, of the windows that cover it: (N, h, w) each -> (N, *size).

    What was seen in a window has any shape, and is resized to its.
    """
    total, covering = grids[0].new_zeros(grids[0].shape[0], *size), grids[0].new_zeros(*size)
    for grid, (rows, columns) in zip(grids, windows, strict=True):
        total[:, rows, columns] += upsample(grid, (rows.stop - rows.start, columns.stop - columns.start), corners=True)
        covering[rows, columns] += 1
    return total / covering


def _spans(length: int, size: float, stride: float) -> list[slice]:
    long, step = max(1, round(length * size)), max(1, round(length * stride))
    return [slice(first, first + long) for first in (*range(0, length - long, step), length - long)]


def harmonic_aggregation(scores: Tensor, size: int) -> Tensor:
    """Harmonic mean, at each patch, of the scores of the windows that cover it (WinCLIP, Eq. 4).

    (N, h - size + 1, w - size + 1) -> (N, h, w). "Which window covers which patch" is a banded 0/1 matrix; its
    product with the inverse scores is a box filter. A patch under a window of score 0 gets 0.
    """
    inverse = 1 / scores.clamp_min(0).unsqueeze(1)
    covering = _box_sum(torch.ones_like(inverse), size)
    return (covering / _box_sum(inverse, size)).squeeze(1)


def fuse_harmonic(*maps: Tensor) -> Tensor:
    """Harmonic mean of equally shaped non-negative maps; 0 where any of them is 0."""
    return len(maps) / torch.stack([1 / scores.clamp_min(0) for scores in maps]).sum(0)


def _box_sum(grid: Tensor, size: int) -> Tensor:
    return F.avg_pool2d(F.pad(grid, (size - 1,) * 4), size, stride=1, divisor_override=1)
