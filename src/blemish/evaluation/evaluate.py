"""A detector and labelled samples -> a report of how well it tells good from bad, and where."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from blemish import catalog, data
from blemish.calibration.thresholds import Calibration
from blemish.data.masks import check_fit
from blemish.data.sampling import normals, shots, shuffle
from blemish.errors import BadData, BadInput, BlemishError
from blemish.evaluation.evidence import examine, missing_class, samples_to_measure
from blemish.evaluation.kept_maps import GroundTruths, KeptMaps, Map
from blemish.evaluation.protocol import Protocol, check_protocol
from blemish.images import WHOLE, Inspected, Unreadable, View
from blemish.inspection import follows, inspect
from blemish.metrics import pixel
from blemish.metrics.intervals import Estimate, PixelEstimates, image_estimates, pixel_estimates
from blemish.metrics.naming import Naming, score_names
from blemish.notices import gather, notice, silence
from blemish.progress import ShowProgress, no_progress
from blemish.runs.decision import Decide, Decided, Sink, decision
from blemish.types import GOOD, ArrayDetector, Detector, Encoder, Sample

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Metrics(NamedTuple):
    """Good pictures against defects, with 95 % bootstrap intervals; None where the labels or masks are missing."""

    image_auroc: Estimate | None
    image_ap: Estimate | None
    image_f1_max: Estimate | None
    pixel_auroc: Estimate | None
    pixel_ap: Estimate | None
    pixel_f1_max: Estimate | None
    aupro: Estimate | None
    n_normal: int
    n_anomalous: int
    missing: Mapping[str, str]  # of each metric that is None, why

    def as_json(self) -> dict[str, Any]:
        """Plain values; an estimate is {"value", "low", "high"}. "missing" is there if a metric is not."""
        fields = self._asdict()
        why = fields.pop("missing")
        values = {name: value._asdict() if isinstance(value, Estimate) else value for name, value in fields.items()}
        return values | ({"missing": dict(why)} if why else {})


METRICS = Metrics._fields[:7]


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured, over the pictures that could be read."""

    whole: Metrics  # all defects together
    seconds_per_image: float  # reading, detector and placing, wall-clock
    unreadable: tuple[Unreadable, ...] = ()
    shots: int = 0  # good parts learned from
    types: Mapping[str, Metrics] = field(default_factory=dict)  # the defects of each label on their own, by name
    curves: pixel.Curves | None = None
    naming: Naming | None = None  # how well a detector that names types names those of the labels
    notes: tuple[str, ...] = ()  # what makes all of it worth less, a sentence each
    protocol: Protocol = "standard"

    def _repr_html_(self) -> str:
        """The metrics with their intervals, for notebooks."""
        from blemish.images.notebook import table_html

        found = {name: getattr(self.whole, name) for name in METRICS}
        rows = [(name, *(f"{each:.4f}" for each in value)) for name, value in found.items() if value]
        counts = f"{self.whole.n_normal} good, {self.whole.n_anomalous} anomalous, {self.shots} learned"
        return table_html(("metric", "value", "low", "high"), rows, counts)

    def plot(self) -> Figure:
        """The metrics with their intervals, and the pixel curves where there are masks; a figure of matplotlib."""
        from blemish.images.notebook import plot_estimates

        found = {name: tuple(value) for name in METRICS if (value := getattr(self.whole, name))}
        return plot_estimates(found, self.curves and self.curves._asdict())

    def as_json(self) -> dict[str, Any]:
        """Plain values, without the curves; an estimate is {"value", "low", "high"}."""
        return {
            "missing": {},
            **self.whole.as_json(),
            "seconds_per_image": self.seconds_per_image,
            "shots": self.shots,
            "protocol": self.protocol,
            "unreadable": [{"path": bad.id, "error": bad.reason} for bad in self.unreadable],
            "notes": list(self.notes),
            "types": {name: metrics.as_json() for name, metrics in self.types.items()},
            **({"naming": self.naming.as_json()} if self.naming else {}),
        }


@dataclass(frozen=True, slots=True)
class Trial:
    """One method on one category of a data set: everything that decides the outcome."""

    root: Path
    layout: str | None
    category: str | None
    method: str
    encoder: str | Encoder
    shots: int | None = None  # good parts to learn from; None: all of the training split
    seed: int = 0  # which of them
    product: str | None = None  # in words; None: the category's name, or the folder's
    arguments: Mapping[str, Any] = field(default_factory=dict)
    view: View = WHOLE
    batch_size: int = 8
    split: str = "test"  # what is measured on, as the layout calls it
    protocol: Protocol = "standard"

    @property
    def part(self) -> str:
        """What the part is, in words."""
        return self.product or (self.category or self.root.resolve().name).replace("_", " ")


def run_trial(trial: Trial, *, watch: ShowProgress = no_progress, sinks: Sequence[Sink] = ()) -> Report:
    """Learn from good parts of the training split only, measure on another split; `sinks` as of `evaluate`."""
    with gather() as notices:
        test, good = test_samples(trial), training_samples(trial)
        examine(test, [sample.image for sample in good])
        unreadable: list[Unreadable] = []
        trial = balance_trial(trial, good, watch=watch)
        detector = fit_trial(trial, good, test, watch=watch, unreadable=unreadable)
        report = evaluate(
            detector,
            test,
            view=trial.view,
            batch_size=trial.batch_size,
            seed=trial.seed,
            watch=watch,
            sinks=sinks,
            protocol=trial.protocol,
        )
    bad, notes = (*unreadable, *report.unreadable), tuple(notices.lines())
    return dataclasses.replace(report, shots=len(good), unreadable=bad, notes=notes)


def test_samples(trial: Trial) -> list[Sample]:
    """What the trial is measured on."""
    return samples_to_measure(trial.root, layout=trial.layout, category=trial.category, split=trial.split)


def check_data(trial: Trial) -> None:
    """Raise what of the trial's data can be refused before there is a detector; nothing is said."""
    check_protocol(trial.protocol, trial.method)
    with silence():
        test, good = test_samples(trial), training_samples(trial)
    if not good and trial.method and catalog.card(trial.method).normal == "required":
        lacks = f"the training split of {trial.part} has no good part, and " if trial.shots != 0 else ""
        raise BadInput(f"{lacks}{trial.method} learns from good parts: give it some, or choose a method without")
    check_fit((sample.masks, sample.image) for sample in test if sample.label)


def check_any(trials: Iterable[Trial]) -> None:
    """Raise what refuses the first trial's data where it refuses the others' too."""
    refused = list[BlemishError]()
    for trial in trials:
        try:
            return check_data(trial)
        except BlemishError as error:
            refused.append(error)
    raise refused[0]


def balance_trial(trial: Trial, good: Sequence[Sample], *, watch: ShowProgress) -> Trial:
    """The trial whose view is as `fitting.balance_scales` has it by these good parts."""
    from blemish.fitting import balance_scales  # here, since it needs torch, and deployed recipes are measured without

    view = balance_scales(
        trial.method, trial.encoder, [sample.image for sample in good], trial.view, product=trial.part,
        arguments=trial.arguments, batch_size=trial.batch_size, watch=watch,
    )  # fmt: skip
    return dataclasses.replace(trial, view=view)


def fit_trial(
    trial: Trial,
    good: Sequence[Sample],
    test: Sequence[Sample],
    *,
    watch: ShowProgress,
    unreadable: list[Unreadable],
) -> Detector:
    """The trial's detector, fitted to these good parts; what cannot be read is added to `unreadable`.

    A method that scores a set is handed, without their labels, the pictures that it is measured on if none is good.
    """
    from blemish.fitting import fit_detector  # as above

    if not good and catalog.card(trial.method).scores == "set":
        notice("%s compared the pictures of the split %s with each other", trial.method, trial.split)
    return fit_detector(
        trial.method,
        trial.encoder,
        product=trial.part,
        good=[sample.image for sample in good],
        pictures=[sample.image for sample in test],
        arguments=trial.arguments,
        view=trial.view,
        batch_size=trial.batch_size,
        watch=watch,
        unreadable=unreadable,
    )


def trials(trial: Trial) -> dict[str, Trial]:
    """A trial of each category of the data set by name, or the one given where it names its category."""
    every = [] if trial.category else data.categories(trial.root, layout=trial.layout)
    split = [dataclasses.replace(trial, category=name) for name in every] or [trial]
    return {each.category or each.root.resolve().name: each for each in split}


def mean(reports: Iterable[Report]) -> dict[str, float | None]:
    """Each metric's mean over the categories, all of equal weight; None where one of them has no value."""
    every = list(reports)
    values = {name: [getattr(each.whole, name) for each in every] for name in METRICS}
    known = {name: found for name, found in values.items() if found and None not in found}
    return {name: sum(e.value for e in known[name]) / len(known[name]) if name in known else None for name in METRICS}


def training_samples(trial: Trial) -> list[Sample]:
    """The good parts that the trial learns from."""
    if trial.shots == 0:
        return []
    train = data.samples(trial.root, layout=trial.layout, category=trial.category, split="train")
    if not normals(train):
        notice("%s has no good part in the training split, so nothing is learned", trial.root / (trial.category or ""))
    return normals(train) if trial.shots is None else shots(train, trial.shots, seed=trial.seed)


def evaluate(
    detector: Detector | ArrayDetector,
    samples: Sequence[Sample],
    *,
    view: View = WHOLE,
    batch_size: int = 8,
    aupro_limit: float = 0.3,
    seed: int = 0,
    watch: ShowProgress = no_progress,
    calibration: Calibration | None = None,
    sinks: Sequence[Sink] = (),
    protocol: Protocol = "standard",
    finest: int | None = None,
) -> Report:
    """Inspect every sample and compare with its label and mask, at the picture's own size.

    Samples of unknown label are left out. Raises BadData when none is left. `sinks` take every result too, decided by
    the calibration if there is one. finest: pixel metrics are of so many blocks along a side, the highest value in each
    and whether a mask touches it. protocol: "published" scales scores by these samples where the authors of the
    detector did, to compare with their numbers; all are inspected twice then.
    """
    labelled = [sample for sample in samples if sample.label]
    if not labelled:
        raise BadData(
            "none of the samples has a label: evaluation needs good parts and defects; of what is not known "
            "`blemish inspect` gives scores and heat maps"
        )
    check_fit((sample.masks, sample.image) for sample in labelled)
    labelled = _in_order(labelled, detector, seed)
    if protocol == "published":
        detector = _scale(cast(Detector, detector), labelled, view, batch_size, watch)
    advance, decided = watch("inspecting", len(labelled)), decision(calibration, detector)
    with KeptMaps(finest) as maps:
        start = time.perf_counter()
        scores, kept, unreadable, named = [], [], list[Unreadable](), _Named(getattr(detector, "types", ()))
        results = inspect(detector, (sample.image for sample in labelled), view=view, batch_size=batch_size)
        for sample, result in zip(labelled, results, strict=True):
            advance()
            start += _handed_on(result, sample, decided, [*sinks, named] if named.types else sinks)
            if isinstance(result, Unreadable):
                unreadable.append(result)
                continue
            maps.add(result.anomaly_map)
            scores.append(result.score)
            kept.append(sample)
        seconds = (time.perf_counter() - start) / len(labelled)
        (whole, curves), types = _metrics(maps, kept, scores, aupro_limit, seed)
    bad, naming = tuple(unreadable), named.score(seed, calibrated=bool(calibration))
    return Report(whole, seconds, bad, types=types, curves=curves, naming=naming, protocol=protocol)


def _scale(detector: Detector, samples: Sequence[Sample], view: View, batch_size: int, watch: ShowProgress) -> Detector:
    from blemish.evaluation.scaling import scale_by_set  # here, since it needs torch

    return scale_by_set(detector, samples, view=view, batch_size=batch_size, watch=watch)


def _in_order(samples: list[Sample], detector: Detector | ArrayDetector, seed: int) -> list[Sample]:
    """As they come, but for a detector whose scores depend on those before."""
    if not follows(detector):
        return samples
    notice("the scores follow a stream, in an order of the pictures drawn by the seed %s", seed)
    return shuffle(samples, seed=seed)


class _Named:
    """A sink that keeps what parts are called."""

    def __init__(self, types: Sequence[str]) -> None:
        self.types, self.labels, self.scores, self.found = types, list[str](), list[list[float]](), list[bool]()

    def add(self, found: Decided | Unreadable, sample: Sample | None = None) -> None:
        if isinstance(found, Unreadable) or not sample or found.result.type_scores is None:
            return
        self.labels.append(sample.label)
        self.scores.append(found.result.type_scores.tolist())
        self.found.append(found.verdict != "accept")

    def score(self, seed: int, *, calibrated: bool) -> Naming | None:
        return score_names(self.labels, self.scores, self.types, self.found if calibrated else None, seed=seed)


def _handed_on(result: Inspected | Unreadable, sample: Sample, decided: Decide, sinks: Sequence[Sink]) -> float:
    """The seconds that the sinks took, which are not the detector's."""
    start = time.perf_counter()
    found = result if isinstance(result, Unreadable) or not sinks else decided(result)
    for sink in sinks:
        assert not isinstance(found, Inspected)
        sink.add(found, sample)
    return time.perf_counter() - start


Traced = tuple[Metrics, pixel.Curves | None]


def _metrics(
    maps: KeptMaps, samples: Sequence[Sample], scores: Sequence[float], limit: float, seed: int
) -> tuple[Traced, dict[str, Metrics]]:
    """All defects against the good, with the curves, and those of each type alone against the same good."""

    def of(rows: Sequence[int]) -> Traced:
        anomalous = np.array([samples[row].label != GOOD for row in rows], dtype=bool)
        images = image_estimates([scores[row] for row in rows], anomalous, seed=seed)
        seen, sizes = [maps.items[row] for row in rows], [maps.sizes[row] for row in rows]
        pixels, curves = _pixels(seen, sizes, [samples[row] for row in rows], limit, seed)
        values = [*(images or [None] * 3), *(pixels or [None] * 4)]
        why = _reasons([samples[row] for row in rows])
        missing = {name: why[name] for name, value in zip(METRICS, values, strict=True) if value is None}
        return Metrics._make([*values, int((~anomalous).sum()), int(anomalous.sum()), missing]), curves

    labels = [sample.label for sample in samples]
    kinds, whole = sorted(set(labels) - {GOOD}), of(range(len(samples)))
    if len(kinds) == 1:  # its pictures are all there are
        return whole, {kinds[0]: whole[0]}
    return whole, {kind: of([row for row, label in enumerate(labels) if label in (GOOD, kind)])[0] for kind in kinds}


def _reasons(samples: Sequence[Sample]) -> dict[str, str]:
    """Why a metric of these could not be had, by its name."""
    lacking = missing_class(sample.label for sample in samples) or "none could be read"
    defects = [sample for sample in samples if sample.is_anomalous]
    unmasked = "no mask marks a defect" if any(sample.masks for sample in defects) else "no defect has a mask"
    image, pixels = METRICS[:3], METRICS[3:]
    return dict.fromkeys(image, lacking) | dict.fromkeys(pixels, unmasked if defects else lacking)


def _pixels(
    maps: Sequence[Map], sizes: Sequence[tuple[int, ...]], samples: Sequence[Sample], limit: float, seed: int
) -> tuple[PixelEstimates | None, pixel.Curves | None]:
    """Pixel metrics and curves over good parts and the defects that have a mask; None when no defect has one."""
    rows = [row for row, sample in enumerate(samples) if sample.masks or sample.label == GOOD]
    chosen = [maps[row] for row in rows]
    finest = [max(scores.shape) for scores in chosen]
    masks = GroundTruths([samples[row] for row in rows], [sizes[row] for row in rows], finest)
    if not any(sample.masks for sample in masks.samples):
        return None, None
    ranked = pixel.rank_pixels(chosen, masks)
    return pixel_estimates(chosen, masks, limit=limit, seed=seed, ranked=ranked), pixel.trace_curves(ranked)
