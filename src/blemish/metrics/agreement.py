"""Attribute measurement-system analysis: do people and machines judge the same part alike, again and again?

A part is the unit everywhere: several judgements of one part are not independent of each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blemish.errors import BadInput
from blemish.metrics.binomial import Rate, check_level, rate
from blemish.types import GOOD

Ratings = Sequence[Any] | NDArray[Any]


class Kappa(NamedTuple):
    """Agreement beyond chance: 1 perfect, 0 what chance alone gives; nan where everything is in one category."""

    value: float
    error: float  # standard error for large samples
    low: float
    high: float


class Appraiser(NamedTuple):
    """One person's or machine's judgements against themselves and against the reference."""

    within: Rate  # parts that were judged the same every time
    correct: Rate  # parts that were judged as the reference says, every time
    escapes: Rate  # defective parts that were judged good at least once
    false_alarms: Rate  # good parts that were judged defective at least once
    kappa: Kappa  # all judgements against the reference, parts being resampled as one


class Study(NamedTuple):
    """A whole study."""

    appraisers: tuple[Appraiser, ...]
    between: Rate  # parts that all appraisers judged the same, every time
    correct: Rate  # parts that all of them judged as the reference says, every time
    kappa: Kappa  # Fleiss', of all judgements, whoever made them


def study(ratings: Ratings, reference: Ratings, *, good: Any = GOOD, level: float = 0.95) -> Study:
    """Judgements (parts, appraisers, repeats) and what each part is known to be; `good` is the category to accept."""
    judged, truth = np.asarray(ratings), np.asarray(reference)
    if judged.ndim != 3 or not judged.size or judged.shape[:1] != truth.shape:
        raise BadInput(
            f"judgements {judged.shape} must be (parts, appraisers, repeats), the reference {truth.shape} one a part"
        )
    everything = judged.reshape(len(judged), -1)
    return Study(
        tuple(_appraised(judged[:, number], truth, good, level) for number in range(judged.shape[1])),
        _share(_alike(everything), level),
        _share((everything == truth[:, None]).all(1), level),
        fleiss(everything, level=level),
    )


def cohen(one: Ratings, other: Ratings, *, level: float = 0.95) -> Kappa:
    """Cohen's kappa of two raters of the same parts.

    Cohen, "A coefficient of agreement for nominal scales", 1960; the error by Fleiss, Cohen & Everitt, 1969.
    """
    first, second = np.asarray(one), np.asarray(other)
    if first.ndim != 1 or first.shape != second.shape or not len(first):
        raise BadInput(f"two raters judge the same parts: {first.shape} and {second.shape} do not fit")
    shares = _crossed(first, second) / len(first)
    rows, columns = shares.sum(1), shares.sum(0)
    chance = float(rows @ columns)
    if chance > 1 - 1e-12:
        return _kappa(np.nan, np.nan, level)
    value = float((np.trace(shares) - chance) / (1 - chance))
    distance = 1 - value
    same = (np.diag(shares) * (1 - (rows + columns) * distance) ** 2).sum()
    outer = shares * (columns[:, None] + rows) ** 2
    different = distance**2 * (outer.sum() - np.trace(outer))
    variance = (same + different - (value - chance * distance) ** 2) / (len(first) * (1 - chance) ** 2)
    return _kappa(value, float(np.sqrt(max(variance, 0.0))), level)


def fleiss(ratings: Ratings, *, level: float = 0.95) -> Kappa:
    """Fleiss' kappa of (parts, raters) judgements; which rater is which does not count.

    Fleiss, "Measuring nominal scale agreement among many raters", 1971; the error by Gwet, "Large-sample variance of
    Fleiss generalized kappa", 2021, which holds for any kappa.
    """
    judged = np.asarray(ratings)
    if judged.ndim != 2 or judged.shape[0] < 2 or judged.shape[1] < 2:
        raise BadInput(f"judgements {judged.shape}: Fleiss' kappa needs at least two parts and two raters")
    parts, raters = judged.shape
    categories, codes = np.unique(judged, return_inverse=True)
    counts = (codes.reshape(parts, raters, 1) == np.arange(len(categories))).sum(1)  # (N, C)
    shares = counts.sum(0) / counts.sum()
    chance = float((shares**2).sum())
    if chance > 1 - 1e-12:
        return _kappa(np.nan, np.nan, level)
    agreeing = ((counts**2).sum(1) - raters) / (raters * (raters - 1))  # (N,)
    each = (agreeing - chance) / (1 - chance)
    value = float(each.mean())
    by_chance = counts @ shares / raters
    moved = each - 2 * (1 - value) * (by_chance - chance) / (1 - chance)
    error = float(np.sqrt(((moved - value) ** 2).sum() / (parts * (parts - 1))))
    return _kappa(value, error, level)


def _appraised(judged: NDArray[Any], truth: NDArray[Any], good: Any, level: float) -> Appraiser:
    """One appraiser's (parts, repeats)."""
    accepted, is_good = judged == good, truth == good
    return Appraiser(
        _share(_alike(judged), level),
        _share((judged == truth[:, None]).all(1), level),
        _share(accepted.any(1)[~is_good], level),
        _share((~accepted).any(1)[is_good], level),
        _clustered(judged, truth, level),
    )


def _clustered(judged: NDArray[Any], truth: NDArray[Any], level: float) -> Kappa:
    """Cohen's kappa of all (parts, repeats) judgements against the reference; the error by leaving out each part."""

    def value(kept: NDArray[np.bool_]) -> float:
        repeated = np.broadcast_to(truth[kept, None], judged[kept].shape)
        return cohen(judged[kept].ravel(), repeated.ravel(), level=level).value

    parts = len(truth)
    everything = np.ones(parts, dtype=bool)
    if parts < 2:
        return _kappa(value(everything), np.nan, level)
    without = np.array([value(np.arange(parts) != number) for number in range(parts)])
    error = np.sqrt((parts - 1) / parts * ((without - without.mean()) ** 2).sum())
    return _kappa(value(everything), float(error), level)


def _crossed(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.float64]:
    """How often each pair of categories occurs: (C, C)."""
    categories, codes = np.unique(np.concatenate([first, second]), return_inverse=True)
    size = len(categories)
    pairs = codes[: len(first)] * size + codes[len(first) :]
    return np.bincount(pairs, minlength=size**2).reshape(size, size).astype(np.float64)


def _alike(judged: NDArray[Any]) -> NDArray[np.bool_]:
    alike: NDArray[np.bool_] = (judged == judged[:, :1]).all(1)
    return alike


def _share(found: NDArray[np.bool_], level: float) -> Rate:
    return rate(int(found.sum()), len(found), level)


def _kappa(value: float, error: float, level: float) -> Kappa:
    reach = NormalDist().inv_cdf((1 + check_level(level)) / 2) * error
    return Kappa(value, error, max(-1.0, value - reach), min(1.0, value + reach))
