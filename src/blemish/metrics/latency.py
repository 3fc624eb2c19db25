"""Percentiles of how long something took, with intervals that assume no distribution."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator
from random import Random

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blemish.errors import BadInput
from blemish.metrics.binomial import check_level, check_rate
from blemish.metrics.intervals import Estimate

SHARES = (0.5, 0.95, 0.99)
MOST_KEPT = 10_000
"""Times of which percentiles are taken, where there are more."""


class Times:
    """Times one by one: all of them, or where there are more than `MOST_KEPT` as many, each as likely as any other."""

    def __init__(self) -> None:
        self._kept, self._count, self._random = array("d"), 0, Random(0)

    def add(self, seconds: float) -> None:
        """One more."""
        self._count += 1
        if len(self._kept) < MOST_KEPT:
            self._kept.append(seconds)
        elif (place := self._random.randrange(self._count)) < MOST_KEPT:
            self._kept[place] = seconds

    def __iter__(self) -> Iterator[float]:
        return iter(self._kept)


def percentiles(seconds: Iterable[float], *, level: float = 0.95) -> dict[float, Estimate]:
    """The time within which each of `SHARES` of the runs ended; nothing of none."""
    values = np.fromiter(seconds, np.float64)
    return {share: percentile(values, share, level=level) for share in SHARES} if len(values) else {}


def percentile(seconds: ArrayLike, share: float, *, level: float = 0.95) -> Estimate:
    """The time within which that share of the runs ended, between two order statistics; from 0, to infinity, where the
    runs are too few.

    The interval covers the percentile of later runs at least as often as `level` says, if runs do not depend on each
    other.
    """
    values = np.sort(np.asarray(seconds, dtype=np.float64).ravel())
    if not len(values) or np.isnan(values).any() or values[0] < 0:
        raise BadInput("a percentile needs times: non-negative numbers, at least one")
    tail, total = (1 - check_level(level)) / 2, len(values)
    # Of all runs, those within the percentile are binomial.
    chances = _binomial(total, check_rate(share))
    low = values[chances.cumsum()[:-1] <= tail]
    high = values[chances[::-1].cumsum()[-2::-1] <= tail]
    value = float(values[max(0, math.ceil(share * total - 1e-9) - 1)])
    return Estimate(value, float(low[-1]) if len(low) else 0.0, float(high[0]) if len(high) else math.inf)


def _binomial(total: int, share: float) -> NDArray[np.float64]:
    """The chance of each count from 0 to the total; scipy.stats has it, and takes a second to import."""
    counts = np.arange(total + 1)
    factorials = np.log(np.maximum(counts, 1)).cumsum()
    chosen = factorials[-1] - factorials - factorials[::-1]
    chances: NDArray[np.float64] = np.exp(chosen + counts * math.log(share) + counts[::-1] * math.log1p(-share))
    return chances
