"""A recipe on labelled pictures that it has not learned: how often its verdicts are right, and how long they take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from blemish.calibration.thresholds import Verdict
from blemish.classification.names import VERDICTS
from blemish.data.masks import read_ground_truth
from blemish.errors import BadData, BadInput
from blemish.evaluation.evaluate import Report, evaluate
from blemish.evaluation.evidence import examine
from blemish.evaluation.protocol import Protocol, check_protocol
from blemish.files import sha256_of
from blemish.images import Unreadable
from blemish.metrics.binomial import Rate
from blemish.metrics.intervals import Estimate
from blemish.metrics.latency import percentiles
from blemish.metrics.verdicts import (
    UNKNOWN,
    Verdicts,
    escape_at_overkill,
    overkill_at_escape,
    review_load,
    size_classes,
    verdicts,
)
from blemish.notices import gather, notice
from blemish.progress import ShowProgress, no_progress
from blemish.recipes.recipe import Recipe, set_digest
from blemish.runs.decision import Decided, Sink
from blemish.types import GOOD, ArrayDetector, Detector, Sample

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ERRORS = (0.01, 0.05, 0.1)
"""Escapes at which overkill is told, and the other way round."""
DEFECTIVE = "defective"
SHOWN = "shown.rows"
"""A recipe that was shown defects has this tensor, see `recipes.known_defects`."""
RANKS = {"accept": 1.0, "reject": 2.0}
"""Limits between the ranks of verdicts: a type may ask for another one than the score."""


class JudgedSample(NamedTuple):
    """What is kept of a picture: neither itself nor its map."""

    sample: Sample
    score: float
    seconds: float  # reading included
    verdict: str  # by score and types; "" by a recipe that is not calibrated


class Validation(NamedTuple):
    """What was found; no verdicts by a recipe that is not calibrated."""

    report: Report
    verdicts: dict[str, Verdicts]  # of good parts, of all defective ones, and of each type
    sizes: dict[str, Verdicts]  # of defective parts by the area of the defect, where masks tell it
    review: Rate | None  # of all
    overkill: dict[float, Estimate]  # by the escapes that are allowed, whatever the thresholds are
    escapes: dict[float, Estimate]  # by the overkill that is allowed
    seconds: dict[float, Estimate]  # a picture, reading included: percentiles
    learned: tuple[Sample, ...]  # left out: they taught the recipe

    def _repr_html_(self) -> str:
        """The metrics, and the verdicts of each kind of parts, for notebooks."""
        from blemish.images.notebook import table_html

        rows = [
            (kind, *(str(each.cases) for each in (found.accepted, found.reviewed, found.rejected)))
            for kind, found in self.verdicts.items()
        ]
        table = table_html(("parts", "accepted", "for review", "rejected"), rows) if rows else ""
        return self.report._repr_html_() + table

    def plot(self) -> Figure:
        """As of its report."""
        return self.report.plot()

    def as_json(self) -> dict[str, Any]:
        """Plain values; a rate is {"cases", "total", "low", "high"}."""
        kinds = {"verdicts": self.verdicts, "sizes": self.sizes}
        estimates = {
            "overkill_at_escape": self.overkill,
            "escape_at_overkill": self.escapes,
            "seconds_percentiles": self.seconds,
        }
        return {
            **self.report.as_json(),
            **{name: {kind: _rates(found) for kind, found in each.items()} for name, each in kinds.items()},
            "review": self.review and self.review._asdict(),
            **{name: {f"{at:g}": found.as_json() for at, found in each.items()} for name, each in estimates.items()},
            "learned": [str(sample.image) for sample in self.learned],
        }


def validate(
    recipe: Recipe,
    detector: Detector | ArrayDetector,
    samples: Sequence[Sample],
    *,
    batch_size: int = 8,
    watch: ShowProgress = no_progress,
    sinks: Sequence[Sink] = (),
    protocol: Protocol = "standard",
) -> Validation:
    """Inspect the samples by the recipe's detector; pictures that taught it are left out. `sinks` as of `evaluate`.

    Raises BadData when no labelled sample is left. By the protocol "published" there are no verdicts and no thresholds:
    these are of scores as they are.
    """
    check_recipe(recipe, protocol)
    recipe = recipe if protocol == "standard" else replace(recipe, calibration=None)
    taught = {each.sha256 for each in recipe.taught}
    learned = tuple(each for each in samples if taught and each.image.is_file() and sha256_of(each.image) in taught)
    gone = {each.image for each in learned}
    left = [each for each in samples if each.image not in gone]
    if learned and not any(each.label for each in left):
        raise BadData("all labelled samples taught the recipe: verify it with pictures that it has not learned")
    judged = _Judged()
    with gather() as notices:
        examine(left)
        _say_trained_on(recipe, left)
        report = evaluate(
            detector,
            left,
            view=recipe.view,
            batch_size=batch_size,
            watch=watch,
            calibration=recipe.calibration,
            sinks=[judged, *sinks],
            protocol=protocol,
        )
    found = _verified(recipe, replace(report, notes=tuple(notices.lines())), judged.samples, learned)
    return found if protocol == "standard" else found._replace(overkill={}, escapes={})


def check_recipe(recipe: Recipe, protocol: Protocol) -> None:
    """Raise BadInput for a recipe whose like nobody published by that protocol."""
    check_protocol(protocol, recipe.method)
    if protocol == "published" and recipe.deployed:
        raise BadInput(f"{recipe.source} is deployed and scores as it is used: measure the recipe it was exported from")
    if protocol == "published" and SHOWN in recipe.tensors:
        raise BadInput(f"{recipe.source} was shown defects, which no author did: measure one without, or as it is used")


def _say_trained_on(recipe: Recipe, samples: Sequence[Sample]) -> None:
    """These very pictures, or a set of the same name, of which some may be among them."""
    if not recipe.trained_on:
        return
    digest = set_digest((sha256_of(each.image), each.label) for each in samples if each.image.is_file())
    for each in recipe.trained_on:
        if each.sha256 == digest:
            notice("these are the pictures of %s that the recipe was trained on: they prove nothing", each.name)


class _Judged:
    """A sink that keeps scores and times."""

    def __init__(self) -> None:
        self.samples: list[JudgedSample] = []

    def add(self, found: Decided | Unreadable, sample: Sample | None = None) -> None:
        if sample is not None and not isinstance(found, Unreadable):
            result = found.result
            self.samples.append(JudgedSample(sample, result.score, result.read_seconds + result.seconds, found.verdict))


def _verified(recipe: Recipe, report: Report, seen: Sequence[JudgedSample], learned: tuple[Sample, ...]) -> Validation:
    scores = [each.score for each in seen]
    labels = [each.sample.label != GOOD for each in seen]
    kinds, sizes, review = dict[str, Verdicts](), dict[str, Verdicts](), None
    if recipe.calibration and seen:
        ranks = [VERDICTS.index(cast(Verdict, each.verdict)) for each in seen]
        kinds = _by_kind([each.sample.label for each in seen], ranks)
        sizes = _by_size([each.sample for each in seen], ranks)
        review = review_load(ranks, **RANKS)
    return Validation(
        report,
        kinds,
        sizes,
        review,
        {share: overkill_at_escape(scores, labels, share) for share in ERRORS},
        {share: escape_at_overkill(scores, labels, share) for share in ERRORS},
        percentiles(each.seconds for each in seen),
        learned,
    )


def _by_kind(labels: Sequence[str], ranks: Sequence[float]) -> dict[str, Verdicts]:
    """Good parts first, then all defective ones, then each type."""
    both = verdicts(ranks, [GOOD if label == GOOD else DEFECTIVE for label in labels], **RANKS)
    types = verdicts(ranks, labels, **RANKS)
    return {name: (both | types)[name] for name in (GOOD, DEFECTIVE, *sorted(types)) if name in both | types}


def _by_size(samples: Sequence[Sample], ranks: Sequence[float]) -> dict[str, Verdicts]:
    defects = [(sample, rank) for sample, rank in zip(samples, ranks, strict=True) if sample.label != GOOD]
    areas = [float(read_ground_truth(each.masks, each.image).sum()) if each.masks else math.nan for each, _ in defects]
    classes = size_classes([area or math.nan for area in areas])  # a mask without a defect tells no size
    if set(classes) <= {UNKNOWN}:
        return {}
    order = sorted(range(len(defects)), key=lambda at: areas[at])
    return verdicts([defects[at][1] for at in order], [classes[at] for at in order], **RANKS)


def _rates(found: Verdicts) -> dict[str, dict[str, float]]:
    return {name: each._asdict() for name, each in found._asdict().items()}
