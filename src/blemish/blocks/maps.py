"""Patch-grid scores -> anomaly maps -> image scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F


def upsample(grid: Tensor, size: Sequence[int], *, corners: bool = False) -> Tensor:
    """Bilinear: (..., h, w) -> (..., *size); with `corners` the outermost values lie on the border, not inside it."""
    with torch.autocast("cuda" if grid.is_cuda else "cpu", enabled=False):  # which would round the products
        rows, columns = (_stretch(grid, *each, corners=corners) for each in zip(grid.shape[-2:], size, strict=True))
        return rows @ grid @ columns.T


def keep_scale(name: str, scores: Tensor) -> Tensor:
    """The `Scale` of use: scores as they are, whatever their name."""
    return scores


def covered_cells(masks: Tensor, size: Sequence[int]) -> Tensor:
    """The places of a grid that masks mostly cover: (N, H, W), 0 or 1 -> bool (N, *size)."""
    return F.adaptive_avg_pool2d(masks[:, None].float(), (size[0], size[1]))[:, 0] >= 0.5


def smooth(
    maps: Tensor, sigma: float, *, radius: int | None = None, border: Literal["reflect", "mirror"] = "reflect"
) -> Tensor:
    """Gaussian blur of (N, H, W) with deviation `sigma` in pixels; scipy's `gaussian_filter` and its borders.

    border: what lies outside repeats the edge ("reflect"), or begins behind it ("mirror"; torch calls that reflect).
    The window reaches `radius` pixels to each side, four deviations if left out.
    """
    if not sigma:
        return maps
    radius = int(4 * sigma + 0.5) if radius is None else radius
    rows, columns = (_blur(maps, length, sigma, radius, border) for length in maps.shape[1:])
    return rows @ maps @ columns.T


def fuse_mean(*maps: Tensor) -> Tensor:
    """Arithmetic mean of equally shaped maps."""
    return torch.stack(maps).mean(0)


def top_mean(maps: Tensor, fraction: float) -> Tensor:
    """Mean of the highest `fraction` of scores, at least one: (N, ...) -> (N,)."""
    flat = maps.flatten(1)
    return flat.topk(max(1, int(flat.shape[1] * fraction)), dim=1).values.mean(1)


def maximum(maps: Tensor) -> Tensor:
    """The highest score: (N, ...) -> (N,)."""
    return maps.flatten(1).amax(1)


def _stretch(like: Tensor, before: int, after: int, *, corners: bool) -> Tensor:
    """The matrix (after, before) that stretches a line: much faster than torch's way, above all for gradients."""
    units = torch.eye(before, dtype=like.dtype, device=like.device)[None]
    return F.interpolate(units, after, mode="linear", align_corners=corners)[0].T


def _blur(like: Tensor, length: int, sigma: float, radius: int, border: Literal["reflect", "mirror"]) -> Tensor:
    """The matrix (length, length) that blurs a line; what lies outside is mirrored as often as the radius asks."""
    offsets = torch.arange(-radius, radius + 1, device=like.device)
    kernel = torch.exp(-0.5 * (offsets.to(like.dtype) / sigma) ** 2)
    edges = 1 if border == "reflect" else 0  # how often the edge is repeated
    turn = max(2 * length - 2 + 2 * edges, 1)  # pixels after which everything comes again
    position = (torch.arange(length, device=like.device)[:, None] + offsets) % turn  # (length, 2 radius + 1)
    place = torch.minimum(position, turn - edges - position)
    return like.new_zeros(length, length).scatter_add(1, place, (kernel / kernel.sum()).expand(length, -1))
