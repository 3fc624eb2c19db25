"""What was named, beside what it is -> how well a classifier names defects."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from blemish.classification.calls import Named
from blemish.classification.describe import Description
from blemish.classification.namer import Namer, logits_of
from blemish.classification.names import UNKNOWN
from blemish.data.several_types import JOINED, types_of
from blemish.errors import BadData
from blemish.images import Region, Unreadable
from blemish.metrics import classes
from blemish.metrics.intervals import Estimate, estimate
from blemish.metrics.naming import Naming, SeveralNaming, score_names, score_several
from blemish.types import Sample

AT_ONCE = 256
"""Defects that are named together, unless a classifier names a set."""


class Outcome(NamedTuple):
    """What one defect was called."""

    sample: Sample
    box: Region | None  # of the region that was named; None: the whole picture
    named: Named
    said: str  # its type, or all that it has, joined as labels are; UNKNOWN where it is of no known one
    right: float  # probability of what it is: of several types the least; of an unknown one, that it is no known one
    is_wrong: bool  # something else is said of it


class TypesReport(NamedTuple):
    """What was measured of how defects are named, over the pictures that could be read."""

    naming: Naming | SeveralNaming
    coverage: Estimate | None  # share of defects of known types whose set of types holds theirs, all of them
    set_size: Estimate | None  # types in a set
    calibration_error: float | None  # of the probability of the likeliest type
    namer: Namer  # what named them
    outcomes: tuple[Outcome, ...]  # of each defect
    seconds_per_defect: float  # of naming what was seen
    learned: Mapping[str, int]  # examples of each type
    seconds: float = 0.0  # of learning from what was seen
    unreadable: tuple[Unreadable, ...] = ()
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain values, without what each defect was called; an estimate is {"value", "low", "high"}."""
        found = self.naming.as_json() | self._asdict()
        for name in ("naming", "namer", "outcomes"):
            del found[name]
        return found | {
            "coverage": self.coverage and self.coverage.as_json(),
            "set_size": self.set_size and self.set_size.as_json(),
            "learned": dict(self.learned),
            "unreadable": [{"path": bad.id, "error": bad.reason} for bad in self.unreadable],
            "notes": list(self.notes),
        }


def measure_names(
    namer: Namer,
    described: Sequence[Description],
    root: Path,
    *,
    several: bool = False,
    together: bool = False,
    found: Sequence[bool] | None = None,
    seed: int = 0,
) -> TypesReport:
    """Name what was described, and compare with its labels; raises BadData where nothing is left to measure.

    several: whether pictures may have several types. together: the classifier names a set. found: which of them a
    calibrated recipe did not accept. seed: of bootstraps.
    """
    if not described:
        raise BadData(f"no picture of {root} is left to measure on: give two of each type at least")
    begun = time.perf_counter()
    seen = torch.stack([each.seen for each in described])
    logits = torch.cat([logits_of(namer.classifier, part) for part in seen.split(len(seen) if together else AT_ONCE)])
    seconds = (time.perf_counter() - begun) / len(described)
    outcomes = _outcomes(namer, described, namer.call(logits, seen), logits.numpy(), several=several)
    values, samples = logits.numpy().astype(np.float64), [each.sample for each in described]
    if several:
        scored = _score_several(namer, samples, values, seed)
    else:
        scored = _score_one(namer, samples, values, found, seed)
    if scored is None:
        raise BadData(f"no picture of a type that was learned is left to measure on in {root}")
    return TypesReport(*scored, namer, outcomes, seconds, {})


def _outcomes(
    namer: Namer,
    described: Sequence[Description],
    named: Sequence[Named],
    logits: NDArray[np.float32],
    *,
    several: bool,
) -> tuple[Outcome, ...]:
    found, known = list[Outcome](), namer.classifier.types
    for each, name, row in zip(described, named, namer.sureness.probabilities(logits), strict=True):
        own = [known.index(type_) for type_ in types_of(each.sample) if type_ in known]
        right = float(row[own].min()) if own else 1 - float(row.max())
        every = [type_ for type_, chance in zip(known, row, strict=True) if chance >= 0.5] if several else [name.type]
        is_wrong = {*every} != ({*types_of(each.sample)} if own else {UNKNOWN})
        found.append(Outcome(each.sample, each.box, name, JOINED.join(every) or UNKNOWN, right, is_wrong))
    return tuple(found)


_Scored = tuple[Naming | SeveralNaming, Estimate | None, Estimate | None, float | None]


def _score_one(
    namer: Namer, samples: Sequence[Sample], logits: NDArray[np.float64], found: Sequence[bool] | None, seed: int
) -> _Scored | None:
    labels, types = [each.label for each in samples], namer.classifier.types
    grades = getattr(namer.classifier, "grades", ())
    naming = score_names(labels, logits, types, found, grades=grades, seed=seed)
    if naming is None:
        return None
    known = np.array([label in types for label in labels])
    truth = np.array([types.index(label) for label in labels if label in types])
    probability = namer.sureness.probabilities(logits[known])
    error = classes.calibration_error(truth, probability) if namer.sureness.coverage else None
    return naming, *_sets(namer, probability, truth[:, None] == np.arange(len(types)), seed), error


def _score_several(namer: Namer, samples: Sequence[Sample], logits: NDArray[np.float64], seed: int) -> _Scored | None:
    types = namer.classifier.types
    truth = np.array([[name in types_of(each) for name in types] for each in samples])
    unknown = np.array([not {*types_of(each)} <= {*types} for each in samples])
    sure = namer.sureness if namer.sureness.coverage else namer.sureness._replace(middle=0.0)
    probability = sure.probabilities(logits)
    naming = score_several(truth, logits, probability >= 0.5, types, unknown, seed=seed)
    if naming is None:
        return None
    own, chances = truth[~unknown], probability[~unknown]
    odds = np.stack([1 - chances, chances], -1).reshape(-1, 2)  # of each decision
    error = classes.calibration_error(own.ravel().astype(np.int64), odds) if sure.coverage else None
    return naming, *_sets(namer, chances, own, seed), error


def _sets(
    namer: Namer, probability: NDArray[np.float64], truth: NDArray[np.bool_], seed: int
) -> tuple[Estimate | None, Estimate | None]:
    """How often sets hold all that a defect is, (N, K), and their size."""
    if not namer.sureness.coverage:
        return None, None
    sets = probability >= 1 - namer.sureness.rest
    held = (sets | ~truth).all(1)
    return (
        estimate(lambda each: float(each.mean()), held, seed=seed),
        estimate(lambda each: float(each.mean()), sets.sum(1), seed=seed),
    )
