"""How well classes are told apart: plain functions on arrays, a row a picture.

Classes are numbers from 0. `truth` and `said` are (N,) numbers of them or, where a picture may have several or none,
(N, K) booleans. `scores` are (N, K), higher is more of that class. What lacks all it would count is nan; no picture at
all, or what does not fit, is BadInput.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blemish.errors import BadInput
from blemish.metrics import image

REST = -1
"""The class of all that a confusion has no room for."""

_Numbers = NDArray[np.int64]
_Table = NDArray[Any]


class Confusion(NamedTuple):
    """How often pictures of one class are said to be of another."""

    classes: _Numbers  # (C,) ascending, then REST if there are more
    counts: _Numbers  # (C, C), a row what they are, a column what they are said to be


def accuracy(truth: ArrayLike, said: ArrayLike) -> float:
    """Share of pictures of which the class, or all classes together, are right."""
    true, found = _pair(truth, said)
    return float((true == found).reshape(len(true), -1).all(1).mean())


def balanced_accuracy(truth: ArrayLike, said: ArrayLike) -> float:
    """Mean over classes that have an example of the share of their pictures that is said to be of them."""
    hits, true, _ = _counts(truth, said)
    return _mean_share(hits, true)


def macro_f1(truth: ArrayLike, said: ArrayLike) -> float:
    """Mean F1 over classes that have an example or are said; one that is only said has 0."""
    hits, true, found = _counts(truth, said)
    return _mean_share(2 * hits, true + found)


def micro_f1(truth: ArrayLike, said: ArrayLike) -> float:
    """F1 of all decisions together: the accuracy where each picture has one class."""
    hits, true, found = (count.sum(keepdims=True) for count in _counts(truth, said))
    return _mean_share(2 * hits, true + found)


def mean_average_precision(truth: ArrayLike, scores: ArrayLike) -> float:
    """Mean average precision of ranking pictures, over classes that some have, (N, K) booleans, and some lack."""
    true, values = _labels(truth), _scores(scores)
    if true.ndim != 2 or true.shape != values.shape:
        raise BadInput(f"truth {true.shape} must be booleans (N, K) as the scores {values.shape} are")
    told = np.flatnonzero(true.any(0) & ~true.all(0))
    each = [image.average_precision(values[:, number], true[:, number]) for number in told]
    return float(np.mean(each)) if each else float("nan")


def top_k_accuracy(truth: ArrayLike, scores: ArrayLike, k: int) -> float:
    """Share of pictures whose class is among the k highest; classes that tie for the last places share their chance."""
    return float(top_k_chances(truth, scores, k).mean())


def top_k_chances(truth: ArrayLike, scores: ArrayLike, k: int) -> NDArray[np.float64]:
    """Of each picture, how probably its class is among the k highest where ties are drawn by lot: (N,)."""
    if k < 1:
        raise BadInput(f"k={k}: at least the likeliest class is looked at, k=1")
    true, values = _of_classes(truth, _scores(scores))
    own = np.take_along_axis(values, true[:, None], 1)  # (N, 1)
    above, level = (values > own).sum(1), (values == own).sum(1)
    return np.asarray(np.clip((k - above) / level, 0, 1), np.float64)


def confusion(truth: ArrayLike, said: ArrayLike, *, limit: int = 100) -> Confusion:
    """Counts of the classes that are there or are said, (N,) each.

    Of more than `limit` classes the most frequent ones have rows and columns, and the others one together: REST.
    """
    true, found = _single(truth, said)
    classes, codes, often = np.unique(np.stack([true, found]), return_inverse=True, return_counts=True)
    if len(classes) > limit:
        kept = np.sort(np.argsort(-often, kind="stable")[:limit])
        places = np.full(len(classes), len(kept))
        places[kept] = np.arange(len(kept))
        classes, codes = np.append(classes[kept], REST), places[codes]
    first, second = codes.reshape(2, -1)
    size = len(classes)
    return Confusion(classes, np.bincount(first * size + second, minlength=size**2).reshape(size, size))


def calibration_error(truth: ArrayLike, probabilities: ArrayLike, *, bins: int = 15) -> float:
    """Expected calibration error: how far the likeliest class's probability is from how often it is right.

    Mean over pictures of that distance in their bin of (low, high] probability, all bins of one width. Guo et al., "On
    calibration of modern neural networks", 2017, Eq. 3.
    """
    true, values = _of_classes(truth, _scores(probabilities))
    if bins < 1 or values.min() < 0 or values.max() > 1:
        raise BadInput(
            f"probabilities from {values.min():g} to {values.max():g} in {bins} bins: give [0, 1] in 1 or more"
        )
    sure, right = values.max(1), values.argmax(1) == true
    places = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], sure)
    return float(np.abs(np.bincount(places, right - sure)).sum() / len(true))


def coverage(truth: ArrayLike, sets: ArrayLike) -> float:
    """Share of pictures whose class is in their set, (N, K) booleans."""
    true, members = _of_classes(truth, _sets(sets))
    return float(np.take_along_axis(members, true[:, None], 1).mean())


def set_size(sets: ArrayLike) -> float:
    """Mean number of classes in a set, (N, K) booleans."""
    return float(_sets(sets).sum(1).mean())


def unknown_auroc(unknown: ArrayLike, scores: ArrayLike) -> float:
    """AUROC of pictures of no class, (N,) booleans, against the others, by how little the likeliest class has."""
    return image.auroc(-_scores(scores).max(1), unknown)


def quadratic_kappa(truth: ArrayLike, said: ArrayLike) -> float:
    """Cohen's kappa of grades, an error weighing the square of its steps; nan where all are of one grade.

    Cohen, "Weighted kappa", 1968. What chance gives is the mean square between any truth and any grade said, which
    follows from their means and variances: no table of grades is needed.
    """
    true, found = _single(truth, said)
    chance = true.var() + found.var() + (true.mean() - found.mean()) ** 2
    return float(1 - ((true - found) ** 2).mean() / chance) if chance else float("nan")


def _counts(truth: ArrayLike, said: ArrayLike) -> tuple[_Numbers, _Numbers, _Numbers]:
    """Of each class, pictures that are of it and said to be, that are, and that are said to be: three (C,)."""
    true, found = _pair(truth, said)
    if true.ndim == 2:
        return (true & found).sum(0), true.sum(0), found.sum(0)
    size = int(max(true.max(), found.max())) + 1
    hits, are, say = (np.bincount(each, minlength=size) for each in (true[true == found], true, found))
    return hits, are, say


def _mean_share(part: _Numbers, whole: _Numbers) -> float:
    there = whole > 0
    return float((part[there] / whole[there]).mean()) if there.any() else float("nan")


def _pair(truth: ArrayLike, said: ArrayLike) -> tuple[_Table, _Table]:
    true, found = _labels(truth), _labels(said)
    if true.shape != found.shape or true.dtype != found.dtype:
        raise BadInput(f"truth {true.shape} and what is said {found.shape} must be one row a picture, of one form")
    return true, found


def _single(truth: ArrayLike, said: ArrayLike) -> tuple[_Numbers, _Numbers]:
    true, found = _pair(truth, said)
    if true.ndim != 1:
        raise BadInput(f"truth {true.shape}: one class a picture is needed, not several")
    return true, found


def _of_classes(truth: ArrayLike, table: _Table) -> tuple[_Numbers, _Table]:
    """One class a picture, of those that the table (N, K) has columns of."""
    true = _labels(truth)
    if true.shape != table.shape[:1] or true.max() >= table.shape[1]:
        raise BadInput(f"truth {true.shape} must name one of {table.shape[1]} classes of each of {len(table)} pictures")
    return true, table


def _labels(labels: ArrayLike) -> _Table:
    """Class numbers as (N,) int64, or (N, K) booleans."""
    values = _filled(np.asarray(labels))
    if values.ndim == 2 and values.dtype.kind == "b":
        return values
    if values.ndim != 1 or values.dtype.kind not in "iu" or values.min() < 0:
        raise BadInput(f"classes {values.dtype} {values.shape} must be (N,) numbers from 0, or booleans (N, K)")
    return values.astype(np.int64)


def _scores(scores: ArrayLike) -> _Table:
    values = _filled(np.asarray(scores))
    if values.ndim != 2 or values.dtype.kind not in "fiu" or not np.isfinite(values).all():
        raise BadInput(f"scores {values.shape} must be finite numbers (N, K), a column a class")
    return values


def _sets(sets: ArrayLike) -> _Table:
    values = _filled(np.asarray(sets))
    if values.ndim != 2 or values.dtype.kind != "b":
        raise BadInput(f"sets {values.dtype} {values.shape} must be booleans (N, K), a column a class")
    return values


def _filled(values: _Table) -> _Table:
    if not values.size:
        raise BadInput("there is no picture to count: give at least one with its class")
    return values
