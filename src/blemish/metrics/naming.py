"""How often defects are called what they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from blemish.metrics.image import auroc


class Naming(NamedTuple):
    """Of defective pictures whose type is one that is told apart; None where there is nothing to count."""

    accuracy: float | None
    balanced_accuracy: float | None  # mean over types of the share that is named right
    macro_f1: float | None  # mean over types that are there, or are said to be
    found_and_named: float | None  # share that was not accepted and is named right, of a calibrated run
    unknown_auroc: float | None  # defects of other types against those, by how little the likeliest type is sure
    defects: int


def score_names(
    labels: Sequence[str], scores: ArrayLike, types: Sequence[str], found: Sequence[bool] | None = None
) -> Naming | None:
    """Of defective pictures with these labels and scores (N, K) of types; None where none has one of the types.

    found: whether each one was not accepted.
    """
    values = np.asarray(scores, dtype=np.float64).reshape(len(labels), len(types))
    known = np.array([label in types for label in labels], bool)
    if not known.any():
        return None
    truth = np.array([types.index(label) for label in labels if label in types])
    said = values[known].argmax(1)
    right = said == truth
    shares = [right[truth == kind].mean() for kind in np.unique(truth)]
    f1 = [_f1(truth == kind, said == kind) for kind in np.union1d(truth, said)]
    both = None if found is None else float((right & np.asarray(found, bool)[known]).mean())
    unknown = None if known.all() else float(auroc(-values.max(1), ~known))
    return Naming(float(right.mean()), float(np.mean(shares)), float(np.mean(f1)), both, unknown, len(truth))


def _f1(truth: np.ndarray[tuple[int], np.dtype[np.bool_]], said: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> float:
    return float(2 * (truth & said).sum() / (truth.sum() + said.sum()))
