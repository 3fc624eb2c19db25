"""How well a candidate does, from its scores of good parts and of flaws, and which one is chosen: pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blemish.metrics.image import auroc
from blemish.metrics.intervals import Estimate, estimate
from blemish.types import GOOD

REAL = "real"
"""The label of real defects; every other one but GOOD is the name of a generator of drawn flaws."""
EVEN = 4
"""So many real defects fewer than there are weigh as much as all drawn ones: 1 weighs .6, 8 weigh .8."""
NEAR = 0.02
"""Within how much of the best the time decides."""


class Judged(NamedTuple):
    """What a candidate came to."""

    image: Estimate  # AUROC of flaws against good parts that were held out, see `worth`
    pixel: float | None  # average precision, joined in the same way; None where no flaw has a mask
    each: Mapping[str, float]  # AUROC of each generator's flaws, and of the real ones
    seconds: float  # a picture
    flaws: int

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return self._asdict() | {"image": self.image.as_json(), "each": dict(self.each)}


def worth(each: Mapping[str, float], real: int) -> float:
    """One number of those of all generators, and of `real` defects, if there are some.

    Of the drawn ones the mean without the generator that shows the candidate at its best: what is chosen by it was
    chosen by the others, whichever is left out. Real ones weigh more than all drawn ones together.
    """
    drawn = sorted(value for name, value in each.items() if name != REAL)
    kept = drawn[:-1] if len(drawn) > 1 else drawn
    if not real or REAL not in each:
        return fmean(kept)
    share = (real + EVEN) / (real + 2 * EVEN)
    return (1 - share) * fmean(kept) + share * each[REAL] if kept else each[REAL]


def judge(folds: Sequence[Mapping[str, Any]]) -> Judged:
    """Of the outcomes of a candidate's folds, see `trial.measure_flaws`: their means, and the interval of the mean."""
    found = [_fold(outcome["scores"]) for outcome in folds]
    image = _mean([one for one, _ in found])
    pixels = [_pixel_worth(outcome) for outcome in folds]
    known = [each for each in pixels if each is not None]
    names = dict.fromkeys(name for _, each in found for name in each)
    return Judged(
        image._replace(low=max(0.0, image.low), high=min(1.0, image.high)),
        fmean(known) if known else None,
        {name: fmean(each[name] for _, each in found if name in each) for name in names},
        min(outcome["seconds_per_image"] for outcome in folds),
        sum(label != GOOD for outcome in folds for label, _ in outcome["scores"]),
    )


def gain(folds: Sequence[Mapping[str, Any]], usual: Sequence[Mapping[str, Any]]) -> Estimate:
    """How much more a candidate is worth than another one by the same folds: image AUROC and pixel AP together.

    The 95 % interval is of both on the same pictures, drawn anew, and of pixel AP of other generators like these.
    """
    return _mean([_gain(*both) for both in zip(folds, usual, strict=True)])


def _mean(found: Sequence[Estimate]) -> Estimate:
    """Of figures that are independent of each other."""
    value = fmean(each.value for each in found)
    low, high = (math.hypot(*(each[side] - each.value for each in found)) / len(found) for side in (1, 2))
    return Estimate(value, value - low, value + high)


def _gain(one: Mapping[str, Any], usual: Mapping[str, Any]) -> Estimate:
    labels = np.array([label for label, _ in one["scores"]])
    both = [np.array([score for _, score in outcome["scores"]], np.float64) for outcome in (one, usual)]
    real = int((labels == REAL).sum())

    def metric(values: NDArray[np.float64], others: NDArray[np.float64], labels: NDArray[np.str_]) -> float:
        return worth(_aurocs(values, labels), real) - worth(_aurocs(others, labels), real)

    image = estimate(metric, *both, labels, apart=labels != GOOD, resamples=200)
    maps = [{name: each for name, each in outcome["pixel_ap"].items() if each is not None} for outcome in (one, usual)]
    differences = [maps[0][name] - maps[1][name] for name in maps[0] if name in maps[1]]
    if not differences:
        return image
    more = worth(maps[0], real) - worth(maps[1], real)
    half = 2 * stdev(differences) / math.sqrt(len(differences)) if len(differences) > 1 else 0.0
    lower, upper = (math.hypot(end - image.value, half) for end in image[1:])
    value = image.value + more
    return Estimate(value, value - lower, value + upper)


def _fold(scores: Sequence[tuple[str, float]]) -> tuple[Estimate, dict[str, float]]:
    labels = np.array([label for label, _ in scores])
    values = np.array([score for _, score in scores], np.float64)
    real = int((labels == REAL).sum())

    def metric(values: NDArray[np.float64], labels: NDArray[np.str_]) -> float:
        return worth(_aurocs(values, labels), real)

    found = estimate(metric, values, labels, apart=labels != GOOD, resamples=200)
    return found, _aurocs(values, labels)


def _aurocs(values: NDArray[np.float64], labels: NDArray[np.str_]) -> dict[str, float]:
    """Of each kind of flaw that there is, against the good parts."""
    good = labels == GOOD
    return {
        str(name): float(auroc(values[good | (labels == name)], ~good[good | (labels == name)]))
        for name in np.unique(labels[~good])
    }


def _pixel_worth(outcome: Mapping[str, Any]) -> float | None:
    known = {name: value for name, value in outcome["pixel_ap"].items() if value is not None}
    return worth(known, sum(label == REAL for label, _ in outcome["scores"])) if known else None


def best(judged: Sequence[Judged], *, allowed: float | None = None) -> int | None:
    """The number of the one to take: by image AUROC and pixel AP together, and among those near the best by time.

    Of few flaws neither is sure, so that both are asked: their sum.

    allowed: seconds a picture at most; None where none is so quick.
    """
    quick = [number for number, each in enumerate(judged) if allowed is None or each.seconds <= allowed]
    if not quick:
        return None
    found = {number: judged[number].image.value + (judged[number].pixel or 0) for number in quick}
    near = [number for number in quick if found[number] >= max(found.values()) - NEAR]
    return min(near, key=lambda number: judged[number].seconds)


def rank(judged: Sequence[Judged], allowed: float | None = None) -> list[int]:
    """All numbers, the best first: each is what `best` would take of those that are left; too slow ones come last."""
    left, found = list(range(len(judged))), list[int]()
    while left:
        chosen = best([judged[number] for number in left], allowed=allowed)
        if chosen is None:
            return [*found, *sorted(left, key=lambda number: judged[number].seconds)]
        found.append(left.pop(chosen))
    return found


def unseen(judged: Sequence[Judged]) -> float | None:
    """AUROC of each generator's flaws by the candidate that the other generators' choose, averaged; None for one."""
    names = [name for name in judged[0].each if name != REAL]
    if len(names) < 2:
        return None

    def others(each: Judged, without: str) -> float:
        return fmean(each.each[name] for name in names if name != without)

    return fmean(max(judged, key=lambda each: others(each, name)).each[name] for name in names)
