"""How long a station needs, by the views that it has judged, so that a part that would be late is refused at once.

As a sender of packets expects their answers (RFC 6298): mean and deviation, each moved a little by what is seen.
"""

from __future__ import annotations

MEAN_WEIGHT, DEVIATION_WEIGHT, DEVIATIONS = 1 / 8, 1 / 4, 4


class Pace:
    """Of one station; before anything was judged it expects nothing."""

    def __init__(self) -> None:
        self.work = self.way = self.deviation = 0.0  # seconds in the judge, to and from it, and of both
        self._is_new = True

    def add(self, work: float, way: float) -> None:
        """A view was judged."""
        if self._is_new:
            self._is_new = False
            self.work, self.way, self.deviation = work, way, (work + way) / 2
            return
        off = abs(work + way - self.work - self.way)
        self.deviation += DEVIATION_WEIGHT * (off - self.deviation)
        self.work += MEAN_WEIGHT * (work - self.work)
        self.way += MEAN_WEIGHT * (way - self.way)

    def expect(self, views: int) -> float:
        """Seconds until the last of so many views is judged and answered."""
        return views * self.work + self.way + DEVIATIONS * self.deviation
