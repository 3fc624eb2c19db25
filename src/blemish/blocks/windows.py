"""Sliding windows over a patch grid, and their scores back on the patches."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def sliding_windows(height: int, width: int, size: int) -> Tensor:
    """Patch numbers in each size x size window, stride 1: ((height - size + 1) * (width - size + 1), size * size)."""
    numbers = torch.arange(height * width).view(height, width)
    return numbers.unfold(0, size, 1).unfold(1, size, 1).flatten(0, 1).flatten(1)


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
