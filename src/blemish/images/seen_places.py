"""What is seen of the parts of a picture, kept for what is asked of its regions later."""

from __future__ import annotations

import heapq
from typing import Any, NamedTuple

from numpy.typing import NDArray

from blemish.images.framing import Region
from blemish.images.placing import matching_regions
from blemish.types import Geometry

MOST_TILES = 16
"""Tiles of a picture, those of the highest scores, of which something may be asked."""


class Places(NamedTuple):
    """What is seen of a part of a picture."""

    region: Region
    grid: NDArray[Any]  # (h, w, C)


def places_of(grid: NDArray[Any], geometry: Geometry, part: tuple[int, int], corner: tuple[int, int]) -> Places:
    """Of a part (H, W) of a picture, seen in that geometry, whose top left corner (x, y) lies there."""
    inside, shown = matching_regions(geometry, *part)
    if geometry.pad:
        (high, wide), side = grid.shape[:2], geometry.side
        rows = slice(inside.y * high // side, -(-(inside.y + inside.height) * high // side))
        grid = grid[rows, inside.x * wide // side : -(-(inside.x + inside.width) * wide // side)]
    return Places(shown._replace(x=shown.x + corner[0], y=shown.y + corner[1]), grid)


class WorstPlaces:
    """The places of the tiles of a picture that have the highest scores."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Places]] = []
        self._count = 0

    def add(self, score: float, places: Places) -> None:
        """Those of the next tile."""
        self._count += 1
        heapq.heappush(self._heap, (score, -self._count, places))
        if len(self._heap) > MOST_TILES:
            heapq.heappop(self._heap)

    def ordered(self) -> tuple[Places, ...]:
        """The highest score first."""
        return tuple(places for *_, places in sorted(self._heap, key=lambda each: each[:2], reverse=True))
