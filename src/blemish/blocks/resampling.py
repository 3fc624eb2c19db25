"""Maps (N, C, h, w) on another grid."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F


def resample(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear, averaging where the grid gets coarser: (N, C, h, w) -> (N, C, *size)."""
    height, width = size
    if height < maps.shape[2]:
        return F.adaptive_avg_pool2d(maps, (height, width))
    return F.interpolate(maps, (height, width), mode="bilinear")
