"""Which pictures are worth a large one, decided while they come."""

from __future__ import annotations

import heapq

HIGHEST, MISSED = 150, 50
"""Large pictures are kept of so many of the highest scores, and of so many defects of the lowest scores."""


class Selection:
    """Numbers of the pictures that are the most anomalous so far, and of the defects that are the least."""

    def __init__(self, highest: int = HIGHEST, missed: int = MISSED) -> None:
        self.highest, self.missed = highest, missed
        self._highest: list[tuple[float, int]] = []  # heaps: the next one to go comes first
        self._missed: list[tuple[float, int]] = []

    def wants(self, score: float, *, is_defect: bool) -> bool:
        """Whether such a picture would be among them now."""
        return _enters(self._highest, score, self.highest) or (is_defect and _enters(self._missed, -score, self.missed))

    def offer(self, number: int, score: float, *, is_defect: bool) -> None:
        """Take a picture into account; one of the same score goes when a later one comes."""
        _push(self._highest, (score, number), self.highest)
        if is_defect:
            _push(self._missed, (-score, number), self.missed)

    def numbers(self) -> set[int]:
        """Those that are kept."""
        return {number for _, number in (*self._highest, *self._missed)}


def _enters(heap: list[tuple[float, int]], rank: float, most: int) -> bool:
    return len(heap) < most or rank >= heap[0][0]


def _push(heap: list[tuple[float, int]], entry: tuple[float, int], most: int) -> None:
    heapq.heappush(heap, entry)
    if len(heap) > most:
        heapq.heappop(heap)
