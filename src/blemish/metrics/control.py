"""Control charts: is a rate, or a score, still what it was? By counts and sums alone.

p-chart and its limits: Shewhart, "Economic Control of Quality" (1931); the four rules: Western Electric, "Statistical
Quality Control Handbook" (1956); EWMA: Roberts, "Control chart tests based on geometric moving averages" (1959).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

RULES = {1: (1, 1, 3.0), 2: (2, 3, 2.0), 3: (4, 5, 1.0), 4: (8, 8, 0.0)}
"""Western Electric: at least so many of so many successive points beyond so many sigma, all on one side."""


class PChart(NamedTuple):
    """Shares of lots, and what they should be; each (N,)."""

    share: NDArray[np.float64]
    centre: float
    sigma: NDArray[np.float64]  # of each lot's share
    z: NDArray[np.float64]  # distance from the centre in sigma; 0 where nothing can vary

    def limit(self, sigmas: float) -> NDArray[np.float64]:
        """The centre and so many sigma, within [0, 1]."""
        return np.clip(self.centre + sigmas * self.sigma, 0, 1)


class Ewma(NamedTuple):
    """Weighted means, and how far they may lie from the centre; each (N,)."""

    mean: NDArray[np.float64]
    centre: float
    reach: NDArray[np.float64]

    @property
    def is_outside(self) -> NDArray[np.bool_]:
        """(N,), which means lie beyond their limit."""
        return np.abs(self.mean - self.centre) > self.reach


def p_chart(counts: ArrayLike, sizes: ArrayLike) -> PChart:
    """Cases in each lot, and how many parts it has, (N,) each: the centre is the share of all lots together."""
    cases, total = np.asarray(counts, float), np.asarray(sizes, float)
    centre = float(cases.sum() / total.sum()) if total.sum() else 0.0
    sigma = np.sqrt(centre * (1 - centre) / total)
    share = cases / total
    away = share - centre
    return PChart(share, centre, sigma, np.divide(away, sigma, out=np.zeros_like(away), where=sigma > 0))


def broken_rules(z: ArrayLike) -> list[tuple[int, ...]]:
    """Of each point, in sigma from the centre, the Western Electric rules that end with it."""
    values = np.asarray(z, float)
    return [tuple(rule for rule in RULES if _ends_here(values[: at + 1], *RULES[rule])) for at in range(len(values))]


def _ends_here(values: NDArray[np.float64], least: int, of: int, sigmas: float) -> bool:
    """Whether the last point is one of those that break the rule."""
    last = values[-of:]  # of fewer points as many must lie beyond
    return any(sign * values[-1] > sigmas and int((sign * last > sigmas).sum()) >= least for sign in (1, -1))


def ewma(values: ArrayLike, *, centre: float, sigma: float, weight: float = 0.2, width: float = 2.7) -> Ewma:
    """z_t = weight x_t + (1 - weight) z_{t - 1} from z_0 = centre, and its limits.

    reach_t = width sigma sqrt(weight / (2 - weight) (1 - (1 - weight)^{2 t})).
    """
    means, now = list[float](), centre
    for value in np.asarray(values, float):
        now = weight * float(value) + (1 - weight) * now
        means.append(now)
    steps = np.arange(1, len(means) + 1)
    reach = width * sigma * np.sqrt(weight / (2 - weight) * (1 - (1 - weight) ** (2 * steps)))
    return Ewma(np.asarray(means), centre, reach)


def lots(total: int, most: int, least: int) -> list[slice]:
    """Successive parts in equal lots of `least` or more, at most `most`; the first, that fill none, are left out."""
    size = max(least, -(-total // most))
    first = total % size
    return [slice(start, start + size) for start in range(first, total, size)]


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation; (0, 0) of none."""
    found = np.asarray(values, float)
    return (float(found.mean()), float(found.std(ddof=1)) if len(found) > 1 else 0.0) if len(found) else (0.0, 0.0)
