"""Where the thresholds of a page stand when it is opened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from blemish.metrics.image import f1_threshold

Origin = Literal["calibration", "suggestion", "f1", "spread"]


class Start(NamedTuple):
    """Two thresholds, equal where there is only one, and why they stand there."""

    accept: float | str  # a score below it accepts; "inf" and "-inf" as in `Calibration.as_json`
    reject: float | str  # a score from it on rejects
    origin: Origin


def start(
    scores: ArrayLike,
    defects: ArrayLike,
    goods: ArrayLike,
    calibration: Mapping[str, Any] | None,
    suggested: Mapping[str, Any] | None = None,
) -> Start:
    """The calibration's thresholds, or those that good parts suggest.

    Without either the greatest F1 of labelled pictures; without labels three spreads above the middle.

    scores (N,), defects and goods bool (N,): what is labelled so.
    """
    if calibration is not None:
        return Start(calibration["accept"], calibration["reject"], "calibration")
    if suggested is not None:
        return Start(suggested["accept"], suggested["reject"], "suggestion")
    values, bad, good = np.asarray(scores, dtype=np.float64), np.asarray(defects, bool), np.asarray(goods, bool)
    if bad.any() and good.any():
        labelled = bad | good
        threshold = f1_threshold(values[labelled], bad[labelled])
        return Start(threshold, threshold, "f1")
    threshold = _far(values[good] if good.any() else values)
    return Start(threshold, threshold, "spread")


def _far(values: np.ndarray[Any, Any]) -> float:
    """The median and three times the spread, in which the median deviation stands for the standard deviation."""
    if not len(values):
        return 0.0
    middle = float(np.median(values))
    return middle + 3 * 1.4826 * float(np.median(np.abs(values - middle)))
