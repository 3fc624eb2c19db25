"""How often thresholds decide wrongly: overkill, good parts that are rejected, and escapes, defective ones accepted.

A score below `accept` accepts, one from `reject` on rejects, and between them a part is for review; where one threshold
decides, both are that. Intervals are exact (Clopper-Pearson) and hold for thresholds that were chosen on other parts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blemish.errors import BadInput
from blemish.metrics.binomial import Rate, beta_quantile, check_level, check_rate, highest_rate, lowest_rate, rate
from blemish.metrics.image import check_scores
from blemish.metrics.intervals import Estimate

UNKNOWN = "unknown size"


class Verdicts(NamedTuple):
    """What became of parts of one kind."""

    accepted: Rate
    reviewed: Rate
    rejected: Rate


class Curve(NamedTuple):
    """Both errors at every threshold at which one of them changes, (T,) each, thresholds ascending."""

    threshold: NDArray[np.float64]
    escape: NDArray[np.float64]
    escape_low: NDArray[np.float64]
    escape_high: NDArray[np.float64]
    overkill: NDArray[np.float64]
    overkill_low: NDArray[np.float64]
    overkill_high: NDArray[np.float64]


def verdicts(
    scores: ArrayLike, kinds: Sequence[str], *, accept: float, reject: float, level: float = 0.95
) -> dict[str, Verdicts]:
    """What becomes of the parts of each kind: good, or a type of defect, or a class of size."""
    values, names = np.asarray(scores, dtype=np.float64), np.asarray(kinds)
    if values.ndim != 1 or values.shape != names.shape:
        raise BadInput(f"scores {values.shape} and kinds {names.shape} must be two (N,) arrays of the same length")
    return {kind: _judged(values[names == kind], accept, reject, level) for kind in dict.fromkeys(kinds)}


def review_load(scores: ArrayLike, *, accept: float, reject: float, level: float = 0.95) -> Rate:
    """The share of all parts that is for review."""
    return _judged(np.asarray(scores, dtype=np.float64), accept, reject, level).reviewed


def size_classes(areas: ArrayLike, edges: Sequence[float] | None = None, *, classes: int = 3) -> list[str]:
    """The class of each area in pixels, `UNKNOWN` for NaN.

    `edges`, ascending, part the classes; if left out, as many of the known areas lie in each of so many `classes`.
    """
    values = np.asarray(areas, dtype=np.float64)
    known = values[~np.isnan(values)]
    inner = np.asarray(edges, dtype=np.float64) if edges is not None else known[:0]
    if edges is None and len(known):
        inner = np.quantile(known, np.arange(1, classes) / classes, method="lower")
    limits = [-math.inf, *np.unique(inner).tolist(), math.inf]
    names = [_named(low, high) for low, high in pairwise(limits)]
    numbers = np.searchsorted(limits[1:-1], values)
    return [UNKNOWN if math.isnan(v) else names[n] for v, n in zip(values.tolist(), numbers, strict=True)]


def overkill_at_escape(scores: ArrayLike, labels: ArrayLike, escape: float, *, level: float = 0.95) -> Estimate:
    """Overkill at the highest threshold at which at most a share `escape` of defects escapes; nan without a class.

    The interval takes in that the threshold itself is only known as well as there are defects: bounds on the threshold
    that let this share of later defects escape, from their order statistics, then on the overkill there.
    """
    good, defects = _parted(scores, labels)
    if not len(good) or not len(defects):
        return Estimate(math.nan, 0.0, 1.0)
    tail = 1 - (1 - check_level(level)) / 4  # four one-sided statements
    low, high = _quantile_bounds(defects, check_rate(escape), tail)
    at_low, at_high = (int((good >= threshold).sum()) for threshold in (low, high))
    return Estimate(
        float(np.mean(good >= _lowest_allowed(defects, escape))),
        lowest_rate(at_high, len(good), tail),
        highest_rate(at_low, len(good), tail),
    )


def escape_at_overkill(scores: ArrayLike, labels: ArrayLike, overkill: float, *, level: float = 0.95) -> Estimate:
    """Escapes at the lowest threshold at which at most a share `overkill` of good parts is rejected, as above."""
    values, truth = check_scores(scores, labels)
    return overkill_at_escape(-values, ~truth, overkill, level=level)


def curve(scores: ArrayLike, labels: ArrayLike, *, level: float = 0.95) -> Curve:
    """Overkill against escape, each with its exact interval at every one threshold."""
    good, defects = _parted(scores, labels)
    if not len(good) or not len(defects):
        raise BadInput("the curve needs good and defective parts")
    levels = np.unique(np.concatenate([good, defects]))
    thresholds = np.append(levels, math.nextafter(float(levels[-1]), math.inf))
    escaped = np.searchsorted(np.sort(defects), thresholds)
    rejected = len(good) - np.searchsorted(np.sort(good), thresholds)
    return Curve(thresholds, *_rates(escaped, len(defects), level), *_rates(rejected, len(good), level))


def _rates(cases: NDArray[np.int64], total: int, level: float) -> tuple[NDArray[np.float64], ...]:
    """As `binomial.rate`, of many counts: values, lower and upper limits."""
    tail = (1 + check_level(level)) / 2
    low = np.where(cases > 0, beta_quantile(np.maximum(cases, 1), total - cases + 1, 1 - tail), 0.0)
    high = np.where(cases < total, beta_quantile(cases + 1, np.maximum(total - cases, 1), tail), 1.0)
    return cases / total, low, high


def _parted(scores: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    values, truth = check_scores(scores, labels)
    return values[~truth], values[truth]


def _judged(scores: NDArray[np.float64], accept: float, reject: float, level: float) -> Verdicts:
    accepted, rejected, total = int((scores < accept).sum()), int((scores >= reject).sum()), len(scores)
    counts = accepted, total - accepted - rejected, rejected
    return Verdicts(*(rate(count, total, level) for count in counts))


def _lowest_allowed(scores: NDArray[np.float64], share: float) -> float:
    """The highest threshold below which at most that share of the scores lies."""
    allowed = math.floor(share * len(scores) + 1e-9)
    return float(np.sort(scores)[allowed]) if allowed < len(scores) else math.inf


def _quantile_bounds(scores: NDArray[np.float64], share: float, confidence: float) -> tuple[float, float]:
    """Thresholds around the one below which the share of all later scores lies; each holds with the confidence."""
    low, high = _bounding_ranks(len(scores), share, confidence)
    ordered = [-math.inf, *np.sort(scores).tolist(), math.inf]
    return ordered[low], ordered[high]


@lru_cache(maxsize=64)
def _bounding_ranks(count: int, share: float, confidence: float) -> tuple[int, int]:
    """Numbers of those two among so many scores in rising order, from 1 on; 0 and count + 1 where there is none."""
    ranks = np.arange(1, count + 1)
    below = beta_quantile(ranks, count + 1 - ranks, confidence) <= share
    above = beta_quantile(ranks, count + 1 - ranks, 1 - confidence) > share
    return int(ranks[below].max(initial=0)), int(ranks[above].min(initial=count + 1))


def _named(low: float, high: float) -> str:
    if high == math.inf:
        return f"over {low:g} px" if low > -math.inf else "any size"
    return f"up to {high:g} px" if low == -math.inf else f"{low:g} to {high:g} px"
