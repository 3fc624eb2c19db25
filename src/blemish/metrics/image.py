"""Image metrics: exact, ties included, from one score and one label an image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blemish.errors import BadInput
from blemish.metrics import curves


def auroc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Chance that an anomalous image scores above a normal one, a tie counting half; nan when a class is missing."""
    hits, misses, _ = rank_scores(scores, labels)
    return float(curves.area(hits, np.cumsum(misses) - misses, misses, misses.sum()))


def average_precision(scores: ArrayLike, labels: ArrayLike) -> float:
    """Precision averaged over the recall steps, without interpolation (scikit-learn's); nan when a class is missing."""
    hits, misses, _ = rank_scores(scores, labels)
    return float(curves.average_precision(hits, np.cumsum(misses), misses.sum()))


def f1_max(scores: ArrayLike, labels: ArrayLike) -> float:
    """Greatest F1 of "anomalous when score >= threshold" over all thresholds; nan when a class is missing."""
    hits, misses, _ = rank_scores(scores, labels)
    return float(curves.f1_max(hits, np.cumsum(misses), misses.sum()))


def f1_threshold(scores: ArrayLike, labels: ArrayLike) -> float:
    """The highest score from which on "anomalous" has the greatest F1; nan when a class is missing."""
    hits, misses, levels = rank_scores(scores, labels)
    if not hits.sum() or not misses.sum():
        return float("nan")
    return float(levels[curves.f1(hits, np.cumsum(misses)).argmax()])


def rank_scores(scores: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]:
    """Anomalous and normal images of each distinct score, and the scores, highest first: three (T,)."""
    values, truth = check_scores(scores, labels)
    levels, group = np.unique(values, return_inverse=True)
    hits = np.bincount(group[truth], minlength=len(levels))[::-1]
    misses = np.bincount(group[~truth], minlength=len(levels))[::-1]
    return hits, misses, levels[::-1]


def check_scores(scores: ArrayLike, labels: ArrayLike) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """The arguments as two (N,) arrays, labels boolean; BadInput says what cannot be ranked."""
    values, truth = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    if values.ndim != 1 or values.shape != truth.shape:
        raise BadInput(f"scores {values.shape} and labels {truth.shape} must be two (N,) arrays of the same length")
    if not np.isin(truth, (0, 1)).all():
        raise BadInput("labels must be booleans: True for an anomalous image, False for a good one")
    if not np.isfinite(values).all():
        broken = int(np.flatnonzero(~np.isfinite(values))[0])
        raise BadInput(f"score {broken} is {values[broken]}: a metric needs finite scores; inspect that image first")
    return values, truth.astype(bool)
