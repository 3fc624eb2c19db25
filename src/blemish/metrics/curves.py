"""The areas and maxima of ranking curves, from counts per distinct score in descending order.

Each array is (..., T), one column a distinct score, so a leading axis computes many curves at once. `hits` are the
positives of a score (or their weights), `above` the negatives of greater scores and `ties` the negatives of the same
score. Columns without hits may be left out. A curve that ranks nothing, for want of one of the classes, is nan.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[Any]
Values = NDArray[np.float64]


def area(hits: Counts, above: Counts, ties: Counts, limit: Counts) -> Values:
    """Share of the hits found at a number of false alarms, averaged over 0 to `limit` (...) false alarms: (...).

    Hits and false alarms of one score arrive together, on a straight line, which is also how the curve is cut at the
    limit.
    """
    ceiling = np.asarray(limit, dtype=np.float64)[..., None]
    end = above + ties
    whole = ceiling - (above + end) / 2
    crossing = np.clip(ceiling - above, 0, None) ** 2 / (2 * np.maximum(ties, 1))
    height = np.where(end <= ceiling, whole, crossing)
    return _ratio((hits * height).sum(-1), hits.sum(-1) * ceiling[..., 0])


def average_precision(hits: Counts, alarms: Counts, negatives: Counts) -> Values:
    """Sum of precision times the recall gained at each score, without interpolation; alarms = above + ties: (...)."""
    found = np.cumsum(hits, axis=-1)
    precision = found / np.maximum(found + alarms, 1)
    return _both((hits * precision).sum(-1), hits.sum(-1), negatives)


def f1(hits: Counts, alarms: Counts) -> Values:
    """F1 of the verdict "anomalous from this score on", for each score; alarms = above + ties: (..., T)."""
    found = np.cumsum(hits, axis=-1)
    return np.asarray(2 * found / np.maximum(found + alarms + found[..., -1:], 1), dtype=np.float64)


def f1_max(hits: Counts, alarms: Counts, negatives: Counts) -> Values:
    """Greatest F1 over all thresholds: (...)."""
    return np.where(_ranks(hits.sum(-1), negatives), f1(hits, alarms).max(-1, initial=0.0), np.nan)


def _both(total: Counts, positives: Counts, negatives: Counts) -> Values:
    return _ratio(total, np.where(_ranks(positives, negatives), positives, 0))


def _ranks(positives: Counts, negatives: Counts) -> NDArray[np.bool_]:
    return (np.asarray(positives) > 0) & (np.asarray(negatives) > 0)


def _ratio(part: Counts, whole: Counts) -> Values:
    part, whole = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    ratio: Values = np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole > 0)
    return ratio
