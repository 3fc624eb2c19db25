"""Large pictures at native resolution: overlapping tiles on the way in, one map without seams on the way out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.nn.functional import pad

from blemish.errors import BadInput
from blemish.images.framing import Region, crop


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


class Mosaic:
    """One map of a picture of that size from the maps of its tiles, in two maps of memory however many there are.

    Where tiles overlap, their weights are linear ramps that add up to one, so a map fades into its neighbour.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self._total, self._weight = torch.zeros(size), torch.zeros(size)
        self._kinds: Tensor | None = None
        self._surest = torch.zeros(0)

    def add(self, part: Tensor, region: Region, kinds: Tensor | None = None) -> None:
        """A tile's map (h, w), and the numbers of its types, -1 for none; what `cut` added to it is dropped."""
        if part.shape[0] < region.height or part.shape[1] < region.width:
            raise BadInput(f"the map of the tile {region} is {tuple(part.shape)}: it must be at least as large")
        ramp = _ramp(region.height)[:, None] * _ramp(region.width)
        crop(self._total, region).add_(part[: region.height, : region.width].float() * ramp)
        crop(self._weight, region).add_(ramp)
        if kinds is not None:
            self._name(kinds[: region.height, : region.width], region, ramp)

    def _name(self, kinds: Tensor, region: Region, ramp: Tensor) -> None:
        """Of several tiles that name a type for a pixel, the one in whose middle it lies most decides."""
        if self._kinds is None:
            self._kinds = torch.full(self._total.shape, -1, dtype=kinds.dtype)
            self._surest = torch.zeros_like(self._total)
        surest, sure = crop(self._surest, region), torch.where(kinds >= 0, ramp, 0)
        crop(self._kinds, region).copy_(torch.where(sure > surest, kinds, crop(self._kinds, region)))
        surest.copy_(torch.maximum(sure, surest))

    def joined(self) -> tuple[Tensor, Tensor | None]:
        """float32 (H, W), NaN under no tile, which is not inspected; and the numbers of types, if any tile had them."""
        return self._total.div_(self._weight), self._kinds


def _ramp(length: int) -> Tensor:
    """A triangle, above 0 everywhere: over any overlap of two, one falls as fast as the other rises."""
    steps = torch.arange(length, dtype=torch.float32)
    return torch.minimum(steps, length - 1 - steps) + 1
