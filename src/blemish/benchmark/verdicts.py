"""What the verdicts of one threshold come to on labelled pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from blemish.calibration.thresholds import Verdict
from blemish.metrics.binomial import rate
from blemish.metrics.intervals import Estimate
from blemish.types import GOOD

RESAMPLES = 1000
LEVEL = 0.95

Rates = dict[str, Estimate | None]


def rates(labels: Sequence[str], verdicts: Sequence[Verdict | None], *, seed: int = 0) -> Rates:
    """f1 and accuracy with bootstrap intervals, escape and overkill with exact ones, all of level 95 %.

    escape: share of the defects that are accepted. overkill: share of the good parts that are rejected. None where a
    class is missing, or verdicts are.
    """
    if None in verdicts:
        return dict.fromkeys(("f1", "accuracy", "escape", "overkill"))
    rejected, good = np.array(verdicts) == "reject", np.array(labels) == GOOD
    alarms, found, normals, defects = (int(part.sum()) for part in (rejected & good, rejected & ~good, good, ~good))
    counted = {"escape": _exact(defects - found, defects), "overkill": _exact(alarms, normals)}
    if not normals or not defects:
        return {"f1": None, "accuracy": None} | counted
    # Images drawn with replacement, their verdicts fixed, leave two binomial counts.
    generator = np.random.default_rng(seed)
    more = generator.binomial(defects, found / defects, RESAMPLES)
    less = generator.binomial(normals, alarms / normals, RESAMPLES)
    f1 = _estimate(2 * found / (found + alarms + defects), 2 * more / (more + less + defects))
    right = (np.array([found, *more]) + normals - np.array([alarms, *less])) / (normals + defects)
    return {"f1": f1, "accuracy": _estimate(float(right[0]), right[1:])} | counted


def _exact(count: int, total: int) -> Estimate | None:
    found = rate(count, total, LEVEL)
    return Estimate(found.value, found.low, found.high) if total else None


def _estimate(value: float, replicates: NDArray[np.float64]) -> Estimate:
    low, high = np.quantile(replicates, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, min(value, float(low)), max(value, float(high)))
