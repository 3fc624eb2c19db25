"""How often defects are called what they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blemish.metrics import classes
from blemish.metrics.binomial import rate
from blemish.metrics.intervals import Estimate, estimate
from blemish.types import GOOD


class TypeNaming(NamedTuple):
    """Of one type, where a defect may have several: nan where there is nothing to count."""

    average_precision: float
    f1: float
    precision: float
    recall: float
    defects: int  # that have it


class SeveralNaming(NamedTuple):
    """Of defective pictures that may have several types, all of which are told apart."""

    accuracy: Estimate  # share of pictures of which all types are said, and no other
    balanced_accuracy: Estimate  # mean over types of the share of their pictures of which they are said
    macro_f1: Estimate  # mean over types that are there, or are said to be
    micro_f1: Estimate  # of all decisions together
    mean_average_precision: Estimate  # over types that some pictures have and some lack
    unknown_auroc: Estimate | None  # pictures with other types against those, by how little the likeliest type is sure
    defects: int
    types: Mapping[str, TypeNaming]

    def as_json(self) -> dict[str, Any]:
        """Plain values; an estimate is {"value", "low", "high"}."""
        estimates = {name: each.as_json() for name, each in self.estimates().items()}
        types = {
            name: {key: value if np.isfinite(value) else None for key, value in each._asdict().items()}
            for name, each in self.types.items()
        }
        return self._asdict() | estimates | {"types": types}

    def estimates(self) -> dict[str, Estimate]:
        """What could be measured, by name."""
        return {name: each for name, each in self._asdict().items() if isinstance(each, Estimate)}


class Naming(NamedTuple):
    """Of defective pictures whose type is one that is told apart; None where there is nothing to count.

    Shares of pictures have exact intervals (Clopper-Pearson), the others a bootstrap's.
    """

    accuracy: Estimate
    balanced_accuracy: Estimate  # mean over types of the share that is named right
    macro_f1: Estimate  # mean over types that are there, or are said to be
    top_2_accuracy: Estimate | None  # share whose type is one of the two likeliest, of three types or more
    found_and_named: Estimate | None  # share that was not accepted and is named right, of a calibrated run
    joint_macro_f1: Estimate | None  # of a calibrated run, with good parts: good, which is to be accepted, is a type
    unknown_auroc: Estimate | None  # defects of other types against those, by how little the likeliest type is sure
    quadratic_kappa: Estimate | None  # of grades: an error weighs the square of its steps
    defects: int
    names: tuple[str, ...]  # of the rows and columns of the confusion
    confusion: tuple[tuple[int, ...], ...]  # a row what they are, a column what they are said to be

    def as_json(self) -> dict[str, Any]:
        """Plain values; an estimate is {"value", "low", "high"}."""
        fields = self._asdict().items()
        return {name: each.as_json() if isinstance(each, Estimate) else each for name, each in fields}

    def estimates(self) -> dict[str, Estimate]:
        """What could be measured, by name."""
        return {name: each for name, each in self._asdict().items() if isinstance(each, Estimate)}

    def mistakes(self) -> list[tuple[str, str, int]]:
        """What it is, what it is said to be and how often, the most frequent first."""
        rows = zip(self.names, self.confusion, strict=True)
        pairs = [(name, said, count) for name, row in rows for said, count in zip(self.names, row, strict=True)]
        return sorted((each for each in pairs if each[2] and each[0] != each[1]), key=lambda each: -each[2])


def score_names(
    labels: Sequence[str],
    scores: ArrayLike,
    types: Sequence[str],
    found: Sequence[bool] | None = None,
    *,
    grades: Sequence[str] = (),
    seed: int = 0,
) -> Naming | None:
    """Of pictures with these labels, good or a defect, and scores (N, K) of types; None without a defect of the types.

    found: whether each one was not accepted. grades: the types in their order, where they are grades.
    """
    values = np.asarray(scores, dtype=np.float64).reshape(len(labels), len(types))
    numbers = {name: number for number, name in enumerate([*types, GOOD])}
    truth = np.array([numbers.get(label, len(numbers)) for label in labels], np.int64)
    known, good = truth < len(types), truth == len(types)
    if not known.any():
        return None
    said = values.argmax(1)
    decided = said if found is None else np.where(found, said, len(types))
    counted = known if found is None else known | good
    matrix = classes.confusion(truth[counted], decided[counted])
    defects, unknown, joint = ~good, ~known & ~good, found is not None and good.any()
    return Naming(
        _share(truth[known], said[known]),
        estimate(classes.balanced_accuracy, truth[known], said[known], seed=seed),
        estimate(classes.macro_f1, truth[known], said[known], seed=seed),
        _top_two(truth[known], values[known], seed) if len(types) > 2 else None,
        None if found is None else _share(truth[known], decided[known]),
        estimate(classes.macro_f1, truth[counted], decided[counted], seed=seed) if joint else None,
        _unknown(unknown[defects], values[defects], seed) if unknown.any() else None,
        _kappa(truth[known], said[known], [grades.index(each) for each in types], seed) if grades else None,
        int(known.sum()),
        tuple("others" if each == classes.REST else [*numbers][each] for each in matrix.classes),
        tuple(map(tuple, matrix.counts.tolist())),
    )


def score_several(
    truth: ArrayLike, scores: ArrayLike, said: ArrayLike, types: Sequence[str], unknown: ArrayLike, *, seed: int = 0
) -> SeveralNaming | None:
    """Of defects with these types, booleans (N, K), as said to have, and scores; None without one of the types alone.

    unknown: (N,), which ones have a type that is not told apart; only how little is sure of them is measured.
    """
    true, values, other = np.asarray(truth, bool), np.asarray(scores, np.float64), np.asarray(unknown, bool)
    known = ~other
    if not known.any():
        return None
    own, ranks, found = true[known], values[known], np.asarray(said, bool)[known]
    columns = zip(types, own.T, ranks.T, found.T, strict=True)
    return SeveralNaming(
        estimate(classes.accuracy, own, found, seed=seed),
        estimate(classes.balanced_accuracy, own, found, seed=seed),
        estimate(classes.macro_f1, own, found, seed=seed),
        estimate(classes.micro_f1, own, found, seed=seed),
        estimate(classes.mean_average_precision, own, ranks, seed=seed),
        _unknown(other, values, seed) if other.any() else None,
        int(known.sum()),
        {name: _type_naming(*each) for name, *each in columns},
    )


def _type_naming(truth: NDArray[Any], scores: NDArray[Any], said: NDArray[Any]) -> TypeNaming:
    def column(values: NDArray[Any]) -> NDArray[Any]:
        return values[:, None]

    hits, has, called = int((truth & said).sum()), int(truth.sum()), int(said.sum())
    return TypeNaming(
        classes.mean_average_precision(column(truth), column(scores)),
        classes.macro_f1(column(truth), column(said)),
        hits / called if called else float("nan"),
        hits / has if has else float("nan"),
        has,
    )


def _top_two(truth: NDArray[np.int64], values: NDArray[np.float64], seed: int) -> Estimate:
    return estimate(np.mean, classes.top_k_chances(truth, values, 2), seed=seed)


def _unknown(unknown: NDArray[np.bool_], values: NDArray[np.float64], seed: int) -> Estimate:
    return estimate(classes.unknown_auroc, unknown, values, apart=unknown, seed=seed)


def _kappa(truth: NDArray[np.int64], said: NDArray[np.int64], steps: Sequence[int], seed: int) -> Estimate:
    order = np.array(steps, np.int64)
    return estimate(classes.quadratic_kappa, order[truth], order[said], seed=seed)


def _share(truth: NDArray[np.int64], said: NDArray[np.int64]) -> Estimate:
    _, _, low, high = rate(int((truth == said).sum()), len(truth))
    return Estimate(classes.accuracy(truth, said), low, high)
