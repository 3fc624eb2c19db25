"""Exact bounds on a rate, from counts and from order statistics.

One law answers both questions. With `count` failures among `total` the rate is at most the Beta(count + 1, total -
count) quantile (Clopper & Pearson, Biometrika 1934). And a threshold put at the k-th largest of n scores, which then
k - 1 others exceed, is itself exceeded at a rate that follows Beta(k, n + 1 - k), whatever the distribution of the
scores (Wilks, Annals of Mathematical Statistics 1941); with ties it is exceeded less often.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blemish.errors import BadInput

EPSILON, LEAST = float(np.finfo(float).eps), float(np.finfo(float).tiny)


class Rate(NamedTuple):
    """How often something happened, and between which rates it may lie."""

    cases: int
    total: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The observed share; nan of none."""
        return self.cases / self.total if self.total else math.nan


def rate(count: int, total: int, level: float = 0.95) -> Rate:
    """The two-sided Clopper-Pearson interval, [0, 1] of none; it covers the rate at least as often as `level` says."""
    tail = (1 + check_level(level)) / 2
    return Rate(count, total, lowest_rate(count, total, tail), highest_rate(count, total, tail))


def highest_rate(count: int, total: int, confidence: float) -> float:
    """The one-sided upper bound: with this confidence the rate is at most that."""
    _refuse_impossible(count, total)
    return 1.0 if count == total else _quantile(count + 1, total - count, check_level(confidence))


def lowest_rate(count: int, total: int, confidence: float) -> float:
    """The one-sided lower bound: with this confidence the rate is at least that."""
    _refuse_impossible(count, total)
    return 0.0 if count == 0 else _quantile(count, total - count + 1, 1 - check_level(confidence))


def most_failures(total: int, target: float, confidence: float) -> int:
    """The highest count among `total` for which the rate is still at most `target`; -1 if not even none suffices."""
    check_rate(target)
    low, high = -1, total
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if highest_rate(middle, total, confidence) <= target else (low, middle)
    return low


def fewest_parts(target: float, confidence: float) -> int:
    """How many parts without a failure show that the rate is at most `target`: 299 for 1 % at 95 %."""
    needed = math.ceil(math.log1p(-check_level(confidence)) / math.log1p(-check_rate(target)))
    # The logarithms round; the law itself decides.
    return next(n for n in range(max(1, needed - 1), needed + 3) if highest_rate(0, n, confidence) <= target)


def check_level(level: float) -> float:
    """The confidence, if it is one."""
    if not 0 < level < 1:
        raise BadInput(f"{level} is not a confidence level: it must lie between 0 and 1, for example 0.95")
    return level


def check_rate(target: float) -> float:
    """The rate, if it can be aimed at."""
    if not 0 < target < 1:
        raise BadInput(f"{target} is not a rate to aim at: it must lie between 0 and 1, for example 0.01")
    return target


@lru_cache(maxsize=1 << 12)
def _quantile(one: int, other: int, share: float) -> float:
    """Of one distribution: a calibration asks for few, and for these again and again."""
    return float(beta_quantile(one, other, share))


def beta_quantile(one: ArrayLike, other: ArrayLike, share: float) -> NDArray[np.float64]:
    """The quantile of beta distributions, element by element: by Newton's steps, or halves where these lead astray."""
    a, b = np.broadcast_arrays(np.asarray(one, np.float64), np.asarray(other, np.float64))
    scale = _log_beta(a, b)
    low, high, found = np.full(a.shape, LEAST), np.full(a.shape, 1 - EPSILON), a / (a + b)
    for _ in range(100):
        above = _share_below(found, a, b, scale) - share
        low, high = np.where(above < 0, found, low), np.where(above < 0, high, found)
        density = np.exp((a - 1) * np.log(found) + (b - 1) * np.log1p(-found) - scale)
        with np.errstate(all="ignore"):
            step = found - above / density
        step = np.where((low <= step) & (step <= high), step, (low + high) / 2)
        moved, found = np.abs(step - found), step
        if (moved <= 1e-9 * found).all():  # the next step of Newton's would be its square
            break
    return np.asarray(found)


def _share_below(x: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64], scale: Any) -> Any:
    """Of beta distributions, the regularized incomplete beta function: a continued fraction (DLMF 8.17.22)."""
    swap = x > (a + 1) / (a + b + 2)  # there the fraction of the other tail comes to its end sooner
    x, a, b = np.where(swap, 1 - x, x), np.where(swap, b, a), np.where(swap, a, b)
    numerator, denominator, found = np.full(x.shape, np.inf), np.ones(x.shape), np.ones(x.shape)
    for number in range(1, 1 << 16):  # Lentz's way
        m = number // 2
        part = -(a + m) * (a + b + m) / (a + 2 * m + 1) if number % 2 else m * (b - m) / (a + 2 * m - 1)
        term = part * x / (a + 2 * m)
        numerator, denominator = 1 + term / numerator, 1 / (1 + term * denominator)
        change = numerator * denominator
        found = found * change
        if (np.abs(change - 1) <= 2 * EPSILON).all():
            break
    share = np.exp(a * np.log(x) + b * np.log1p(-x) - scale) / a * found
    return np.where(swap, 1 - share, share)


def _log_beta(a: NDArray[np.float64], b: NDArray[np.float64]) -> Any:
    return np.vectorize(lambda a, b: math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b), otypes=[float])(a, b)


def _refuse_impossible(count: int, total: int) -> None:
    if not 0 <= count <= total:
        raise BadInput(f"{count} of {total} is not a count: it must lie between none and all")
