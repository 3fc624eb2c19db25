"""What was named, beside what it is -> how well a classifier names defects; torch only where it is a module."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blemish.calibration.prediction_sets import Sureness
from blemish.classification.calls import Named
from blemish.classification.names import UNKNOWN
from blemish.data.several_types import split_label, types_of
from blemish.errors import BadData
from blemish.images import Region, Unreadable
from blemish.metrics import classes
from blemish.metrics.intervals import Estimate, estimate
from blemish.metrics.naming import Naming, SeveralNaming, score_names, score_several
from blemish.types import Classifier, Sample

if TYPE_CHECKING:
    from blemish.classification.describe import Description
    from blemish.classification.namer import Namer

AT_ONCE = 256
"""Defects that are named together, unless a classifier names a set."""


class NamedDefect(NamedTuple):
    """What a classifier said of one defect."""

    sample: Sample
    box: Region | None  # of the region that was named; None: the whole picture
    named: Named
    logits: NDArray[np.float32]  # (K,)


class Terms(NamedTuple):
    """What defects are named by."""

    types: Sequence[str]
    sureness: Sureness
    grades: Sequence[str] = ()  # the types from the least to the worst, where they have an order


class Outcome(NamedTuple):
    """What one defect was called."""

    sample: Sample
    box: Region | None  # of the region that was named; None: the whole picture
    named: Named
    right: float  # probability of what it is: of several types the least; of an unknown one, that it is no known one
    is_wrong: bool  # something else is said of it


class TypesReport(NamedTuple):
    """What was measured of how defects are named, over the pictures that could be read."""

    naming: Naming | SeveralNaming
    coverage: Estimate | None  # share of defects of known types whose set of types holds theirs, all of them
    set_size: Estimate | None  # types in a set
    calibration_error: float | None  # of the probability of the likeliest type
    classifier: Classifier | None  # what named them; None: a graph
    outcomes: tuple[Outcome, ...]  # of each defect
    seconds_per_defect: float  # of naming what was seen
    learned: Mapping[str, int]  # examples of each type
    seconds: float = 0.0  # of learning from what was seen
    unreadable: tuple[Unreadable, ...] = ()
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain values, without what each defect was called; an estimate is {"value", "low", "high"}."""
        found = self.naming.as_json() | self._asdict()
        for name in ("naming", "classifier", "outcomes"):
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
    import torch

    from blemish.classification.namer import logits_of

    if not described:
        raise _nothing_left(root)
    begun = time.perf_counter()
    seen = torch.stack([each.seen for each in described])
    logits = torch.cat([logits_of(namer.classifier, part) for part in seen.split(len(seen) if together else AT_ONCE)])
    seconds, rows = (time.perf_counter() - begun) / len(described), logits.numpy()
    named = [
        NamedDefect(each.sample, each.box, name, row)
        for each, name, row in zip(described, namer.call(logits, seen), rows, strict=True)
    ]
    terms = Terms(namer.classifier.types, namer.sureness, getattr(namer.classifier, "grades", ()))
    measured = measure_defects(terms, named, root, several=several, found=found, seed=seed)
    return measured._replace(classifier=namer.classifier, seconds_per_defect=seconds)


def measure_defects(
    terms: Terms,
    named: Sequence[NamedDefect],
    root: Path,
    *,
    several: bool = False,
    found: Sequence[bool] | None = None,
    seed: int = 0,
) -> TypesReport:
    """As `measure_names`, of what was named already."""
    if not named:
        raise _nothing_left(root)
    scored = _score_several(terms, named, seed) if several else _score_one(terms, named, found, seed)
    if scored is None:
        raise BadData(f"no picture of a type that was learned is left to measure on in {root}")
    return TypesReport(*scored, None, _outcomes(terms, named), 0.0, {})


def _nothing_left(root: Path) -> BadData:
    """The error of a data set in which nothing is left to measure on."""
    return BadData(f"no picture of {root} is left to measure on: give two of each type at least")


def mean_unknown_auroc(found: Mapping[str, TypesReport]) -> float:
    """Over the types that were held out, of equal weight."""
    return float(np.mean([each.naming.unknown_auroc.value for each in found.values() if each.naming.unknown_auroc]))


def _outcomes(terms: Terms, named: Sequence[NamedDefect]) -> tuple[Outcome, ...]:
    found, known = list[Outcome](), list(terms.types)
    for each, row in zip(named, terms.sureness.probabilities(_logits(named)), strict=True):
        own = [known.index(type_) for type_ in types_of(each.sample) if type_ in known]
        right = float(row[own].min()) if own else 1 - float(row.max())
        is_wrong = {*split_label(each.named.type)} != ({*types_of(each.sample)} if own else {UNKNOWN})
        found.append(Outcome(each.sample, each.box, each.named, right, is_wrong))
    return tuple(found)


def _logits(named: Sequence[NamedDefect]) -> NDArray[np.float32]:
    return np.stack([each.logits for each in named])


_Scored = tuple[Naming | SeveralNaming, Estimate | None, Estimate | None, float | None]


def _score_one(terms: Terms, named: Sequence[NamedDefect], found: Sequence[bool] | None, seed: int) -> _Scored | None:
    labels, types, logits = [each.sample.label for each in named], terms.types, _logits(named).astype(np.float64)
    naming = score_names(labels, logits, types, found, grades=terms.grades, seed=seed)
    if naming is None:
        return None
    known = np.array([label in types for label in labels])
    truth = np.array([types.index(label) for label in labels if label in types])
    probability = terms.sureness.probabilities(logits[known])
    error = classes.calibration_error(truth, probability) if terms.sureness.coverage else None
    return naming, *_sets(terms.sureness, logits[known], truth[:, None] == np.arange(len(types)), seed), error


def _score_several(terms: Terms, named: Sequence[NamedDefect], seed: int) -> _Scored | None:
    types, logits = terms.types, _logits(named).astype(np.float64)
    said = [types_of(each.sample) for each in named]
    truth = np.array([[name in own for name in types] for own in said])
    unknown = np.array([not {*own} <= {*types} for own in said])
    probability = terms.sureness.probabilities(logits)
    naming = score_several(truth, logits, probability >= 0.5, types, unknown, seed=seed)
    if naming is None:
        return None
    own, known = truth[~unknown], probability[~unknown]
    odds = np.stack([1 - known, known], -1).reshape(-1, 2)  # of each decision
    error = classes.calibration_error(own.ravel().astype(np.int64), odds) if terms.sureness.coverage else None
    return naming, *_sets(terms.sureness, logits[~unknown], own, seed), error


def _sets(
    sureness: Sureness, logits: NDArray[np.float64], truth: NDArray[np.bool_], seed: int
) -> tuple[Estimate | None, Estimate | None]:
    """How often sets hold all that a defect is, (N, K), and their size."""
    if not sureness.coverage:
        return None, None
    sets = sureness.sets(sureness.chances(logits))
    held = (sets | ~truth).all(1)
    return (
        estimate(lambda each: float(each.mean()), held, seed=seed),
        estimate(lambda each: float(each.mean()), sets.sum(1), seed=seed),
    )
