"""Large pictures at native resolution: overlapping tiles on the way in, one map without seams on the way out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


def cut(image: NDArray[Any], regions: Iterable[Region], side: int) -> Iterator[NDArray[Any]]:
    """Each region of (C, H, W) as (C, side, side); one smaller than that repeats its last row and column."""
    for region in regions:
        tile = crop(image, region)
        below, beside = side - region.height, side - region.width
        yield np.pad(tile, ((0, 0), (0, below), (0, beside)), mode="edge") if below or beside else tile


class Mosaic:
    """One map of a picture of that size from the maps of its tiles, in two maps of memory however many there are.

    Where tiles overlap, their weights are linear ramps that add up to one, so a map fades into its neighbour.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self._total, self._weight = np.zeros(size, np.float32), np.zeros(size, np.float32)
        self._kinds: NDArray[Any] | None = None
        self._surest = np.zeros(0, np.float32)

    def add(self, part: NDArray[Any], region: Region, kinds: NDArray[Any] | None = None) -> None:
        """A tile's map (h, w), and the numbers of its types, -1 for none; what `cut` added to it is dropped."""
        if part.shape[0] < region.height or part.shape[1] < region.width:
            raise BadInput(f"the map of the tile {region} is {tuple(part.shape)}: it must be at least as large")
        ramp = _ramp(region.height)[:, None] * _ramp(region.width)
        total, weight = crop(self._total, region), crop(self._weight, region)
        total += part[: region.height, : region.width] * ramp
        weight += ramp
        if kinds is not None:
            self._name(kinds[: region.height, : region.width], region, ramp)

    def _name(self, kinds: NDArray[Any], region: Region, ramp: NDArray[np.float32]) -> None:
        """Of several tiles that name a type for a pixel, the one in whose middle it lies most decides."""
        if self._kinds is None:
            self._kinds = np.full(self._total.shape, -1, kinds.dtype)
            self._surest = np.zeros_like(self._total)
        surest, sure = crop(self._surest, region), np.where(kinds >= 0, ramp, 0)
        np.copyto(crop(self._kinds, region), kinds, where=sure > surest)
        np.maximum(sure, surest, out=surest)

    def joined(self) -> tuple[NDArray[np.float32], NDArray[Any] | None]:
        """float32 (H, W), NaN under no tile, which is not inspected; and the numbers of types, if any tile had them.

        What it was made of is given up, so it is asked for once.
        """
        with np.errstate(invalid="ignore"):
            np.divide(self._total, self._weight, out=self._total)
        self._weight, self._surest = np.zeros((0, 0), np.float32), np.zeros(0, np.float32)
        return self._total, self._kinds


def _ramp(length: int) -> NDArray[np.float32]:
    """A triangle, above 0 everywhere: over any overlap of two, one falls as fast as the other rises."""
    steps = np.arange(length, dtype=np.float32)
    return np.minimum(steps, length - 1 - steps) + 1
