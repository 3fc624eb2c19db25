"""Large pictures at native resolution: overlapping tiles on the way in, one map without seams on the way out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.nn.functional import pad

from blemish.errors import BadInput
from blemish.images.regions_of_interest import Region, crop


def tiles(height: int, width: int, side: int, overlap: int) -> list[Region]:
    """Regions that cover the picture row by row; neighbours share at least `overlap` pixels.

    Each is `side` square and inside the picture, the last of a row or column moved inward; a picture smaller than a
    tile has one that is as small as it is.
    """
    if not 0 <= overlap < side or min(height, width) < 1:
        raise BadInput(f"tiles of {side} with an overlap of {overlap}: it must be at least 0 and below the side")
    return [
        Region(x, y, min(side, width), min(side, height))
        for y in _starts(height, side, overlap)
        for x in _starts(width, side, overlap)
    ]


def _starts(length: int, side: int, overlap: int) -> list[int]:
    last = max(length - side, 0)
    return [*range(0, last, side - overlap), last]


def cut(image: Tensor, regions: Iterable[Region], side: int) -> Iterator[Tensor]:
    """Each region of (C, H, W) as (C, side, side); one smaller than that repeats its last row and column."""
    for region in regions:
        tile = crop(image, region)
        rest = (0, side - region.width, 0, side - region.height)
        yield pad(tile[None].float(), rest, mode="replicate")[0].to(image.dtype) if any(rest) else tile


def blend(maps: Iterable[Tensor], regions: Iterable[Region], size: tuple[int, int]) -> Tensor:
    """One float32 map (H, W) from the map of each tile; what `cut` added is dropped, pixels under no tile are NaN.

    Where tiles overlap, their weights are linear ramps that add up to one, so a map fades into its neighbour. Maps are
    added as they come: memory is two maps of the whole picture however many tiles there are.
    """
    total, weight = torch.zeros(size), torch.zeros(size)
    for part, region in zip(maps, regions, strict=True):
        if part.shape[0] < region.height or part.shape[1] < region.width:
            raise BadInput(f"the map of the tile {region} is {tuple(part.shape)}: it must be at least as large")
        ramp = _ramp(region.height)[:, None] * _ramp(region.width)
        crop(total, region).add_(part[: region.height, : region.width].float().cpu() * ramp)
        crop(weight, region).add_(ramp)
    return total.div_(weight)  # 0 / 0 is NaN: not inspected


def _ramp(length: int) -> Tensor:
    """A triangle, above 0 everywhere: over any overlap of two, one falls as fast as the other rises."""
    steps = torch.arange(length, dtype=torch.float32)
    return torch.minimum(steps, length - 1 - steps) + 1
