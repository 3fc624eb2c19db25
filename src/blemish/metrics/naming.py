"""How often defects are called what they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blemish.metrics import classes
from blemish.metrics.binomial import rate
from blemish.metrics.intervals import Estimate, estimate
from blemish.types import GOOD


class Naming(NamedTuple):
    """Of defective pictures whose type is one that is told apart; None where there is nothing to count.

    Shares of pictures have exact intervals (Clopper-Pearson), the others a bootstrap's.
    """

    accuracy: Estimate
    balanced_accuracy: Estimate  # mean over types of the share that is named right
    macro_f1: Estimate  # mean over types that are there, or are said to be
    found_and_named: Estimate | None  # share that was not accepted and is named right, of a calibrated run
    joint_macro_f1: Estimate | None  # of a calibrated run, with good parts: good, which is to be accepted, is a type
    unknown_auroc: Estimate | None  # defects of other types against those, by how little the likeliest type is sure
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
    seed: int = 0,
) -> Naming | None:
    """Of pictures with these labels, good or a defect, and scores (N, K) of types; None without a defect of the types.

    found: whether each one was not accepted.
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
        None if found is None else _share(truth[known], decided[known]),
        estimate(classes.macro_f1, truth[counted], decided[counted], seed=seed) if joint else None,
        _unknown(unknown[defects], values[defects], seed) if unknown.any() else None,
        int(known.sum()),
        tuple("others" if each == classes.REST else [*numbers][each] for each in matrix.classes),
        tuple(map(tuple, matrix.counts.tolist())),
    )


def _unknown(unknown: NDArray[np.bool_], values: NDArray[np.float64], seed: int) -> Estimate:
    return estimate(classes.unknown_auroc, unknown, values, apart=unknown, seed=seed)


def _share(truth: NDArray[np.int64], said: NDArray[np.int64]) -> Estimate:
    _, _, low, high = rate(int((truth == said).sum()), len(truth))
    return Estimate(classes.accuracy(truth, said), low, high)
