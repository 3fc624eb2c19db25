"""One trial measured: metrics of the test split, and verdicts at a threshold that has seen none of it.

The threshold comes from good parts of the training split that the detector did not learn: from the rest of that split,
where it is large enough. Otherwise a fifth of what is learned is held out from a second detector, which scores it; it
has seen fewer parts than the one that is tested, so the threshold comes out rather too high than too low.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch

from blemish import catalog, data, encoders
from blemish.benchmark.plan import PlannedTrial
from blemish.benchmark.verdicts import Rates, rates
from blemish.calibration.thresholds import calibrate_on_average
from blemish.data.sampling import normals, shots
from blemish.devices import device_of_name, place_model
from blemish.evaluation import evaluate as evaluation
from blemish.evaluation.evidence import examine
from blemish.evaluation.types_of_defects import TypesTrial, run_types_trial
from blemish.files import sha256_of
from blemish.images import Unreadable
from blemish.notices import gather
from blemish.progress import ShowProgress, no_progress
from blemish.recipes.detectors import detector as recipe_detector
from blemish.recipes.detectors import encoders_of
from blemish.recipes.holdout import score_parts
from blemish.recipes.reading import Reading
from blemish.recipes.recipe import ENCODER, Recipe, load
from blemish.runs.decision import Decided
from blemish.types import GOOD, Detector, Encoder, Sample

NAMING = {"named_right": "accuracy", "named_balanced": "balanced_accuracy", "named_f1": "macro_f1"}
"""Columns of classifiers, and what they are called in a report of types."""
MOST_HELD_OUT = 200
"""Good parts scored for a threshold, where the training split has many more than are learned."""


class Measured(NamedTuple):
    """What a trial gave, in values that JSON can hold."""

    outcome: dict[str, Any]
    scores: list[dict[str, Any]]  # a line a picture: training parts held out first, then the test split


class Parts(NamedTuple):
    """Good parts of the training split."""

    learned: list[Sample]  # by the detector that is tested
    fitted: list[Sample]  # by the one that scores those held out: the same, or fewer
    held: list[Sample]


def measure(planned: PlannedTrial, watch: ShowProgress = no_progress) -> Measured:
    """Learn, score the parts held out, then the test split; what is odd about all of them is in `notes`."""
    with gather() as notices:
        found = (_measure_types if planned.trial.method in catalog.CLASSIFIERS else _measure)(planned, watch)
    return found._replace(outcome=found.outcome | {"notes": notices.lines()})


def _measure(planned: PlannedTrial, watch: ShowProgress) -> Measured:
    if planned.recipe:
        return _measure_recipe(planned, load(planned.recipe), watch)
    loaded = encoders.load(planned.trial.encoder, precision=planned.precision)
    encoder = place_model(loaded, device_of_name(planned.device))
    trial = replace(planned.trial, encoder=encoder)
    parts = split_parts(trial)
    test = evaluation.test_samples(trial)
    examine(test, [sample.image for sample in (*parts.learned, *parts.held)])
    bad: list[Unreadable] = []
    start = time.perf_counter()
    detector = evaluation.fit_trial(trial, parts.learned, test, watch=watch, unreadable=bad)
    seconds = time.perf_counter() - start
    split = parts.fitted != parts.learned
    judge = evaluation.fit_trial(trial, parts.fitted, test, watch=watch, unreadable=bad) if split else detector
    return _measure_detectors(planned, trial, (detector, judge), parts, test, seconds, watch, bad)


def _measure_recipe(planned: PlannedTrial, recipe: Recipe, watch: ShowProgress) -> Measured:
    """As it is: pictures that taught it are neither tested nor decide the threshold."""
    place, taught = cast(str, planned.trial.encoder), {each.sha256 for each in recipe.taught}

    def unknown(samples: Sequence[Sample]) -> list[Sample]:
        return [each for each in samples if not (taught and sha256_of(each.image) in taught)]

    found = encoders_of(recipe, place, device_of_name(planned.device))
    trial = replace(planned.trial, encoder=found[ENCODER])
    parts = Parts([], [], unknown(split_parts(trial).held))
    test = unknown(evaluation.test_samples(trial))
    examine(test, [sample.image for sample in parts.held])
    made = recipe_detector(recipe, found)
    return _measure_detectors(planned, trial, (made, made), parts, test, 0.0, watch, [])


def _measure_detectors(
    planned: PlannedTrial,
    trial: evaluation.Trial,
    detectors: tuple[Detector, Detector],  # the one that is tested, and the one that scores parts held out
    parts: Parts,
    test: Sequence[Sample],
    seconds: float,  # of learning
    watch: ShowProgress,
    bad: list[Unreadable],
) -> Measured:
    detector, judge = detectors
    held = _scored(judge, parts.held, trial, watch, bad)
    decided = calibrate_on_average([line["score"] for line in held], planned.alpha) if held else None
    tested = _Lines()
    report = evaluation.evaluate(
        detector, test, view=trial.view, batch_size=trial.batch_size, seed=trial.seed, watch=watch, sinks=[tested]
    )
    unreadable = tuple(dict.fromkeys((*bad, *report.unreadable)))
    outcome = replace(report, shots=len(parts.learned), unreadable=unreadable).as_json() | {
        "held_out": len(held),
        "scheme": "split" if parts.fitted != parts.learned else "rest",
        "threshold": decided and decided.reject,
        "learning_seconds": seconds,
        "note": encoders.note(cast(Encoder, trial.encoder)),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
    scores = [line | {"verdict": decided and decided.verdict(line["score"])} for line in (*held, *tested.lines)]
    _judge(outcome, scores[len(held) :], trial.seed)
    return Measured(outcome, scores)


def _measure_types(planned: PlannedTrial, watch: ShowProgress) -> Measured:
    """How a classifier names defects, of one half of each type by examples of the other."""
    trial = planned.trial
    loaded = encoders.load(trial.encoder, precision=planned.precision)
    encoder = place_model(loaded, device_of_name(planned.device))
    start = time.perf_counter()
    found = run_types_trial(
        TypesTrial(
            trial.root, trial.method, encoder, trial.layout, trial.category, trial.shots, trial.seed,
            arguments=trial.arguments, product=trial.part, batch_size=trial.batch_size,
        ),
        watch=watch,
    )  # fmt: skip
    seconds, said = time.perf_counter() - start, found.as_json()
    pictures = found.naming.defects + sum(found.learned.values())
    outcome = {name: said[key] for name, key in NAMING.items()} | {
        "n_normal": 0,
        "n_anomalous": found.naming.defects,
        "types": {},
        "seconds_per_image": seconds / pictures,
        "unreadable": said["unreadable"],
        "learning_seconds": found.seconds,
        "note": encoders.note(encoder),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
    return Measured(outcome, [])


class _Lines:
    """A sink of scores."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def add(self, found: Decided | Unreadable, sample: Sample | None = None) -> None:
        if sample is not None and not isinstance(found, Unreadable):
            self.lines.append(_line("test", sample, found.result.score))


def split_parts(trial: evaluation.Trial) -> Parts:
    """Which good parts are learned and which held out; the detector that scores a part has not learned it."""
    train = normals(data.samples(trial.root, layout=trial.layout, category=trial.category, split="train"))
    order = shots(train, len(train), seed=trial.seed) if train else []
    learned = evaluation.training_samples(trial)
    spare, fold = order[len(learned) :][:MOST_HELD_OUT], (len(learned) + 4) // 5 if len(learned) > 1 else 0
    if len(spare) >= fold:
        return Parts(learned, learned, spare)
    held = order[: len(learned)][-fold:]
    return Parts(learned, [sample for sample in learned if sample not in set(held)], held)


def peak_memory() -> int | None:
    """Bytes; the most that this process has held in memory so far, libraries included. None where Linux is not."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return None
    lines = status.read_text(encoding="ascii", errors="ignore").splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)


def _scored(
    judge: Detector, held: Sequence[Sample], trial: evaluation.Trial, watch: ShowProgress, bad: list[Unreadable]
) -> list[dict[str, Any]]:
    samples = {sample.image: sample for sample in held}
    found = score_parts(
        judge,
        samples,
        view=trial.view,
        reading=Reading(trial.batch_size, watch, bad),
        advance=watch("scoring good parts held out", len(held)),
    )
    return [_line("train", samples[path], each.score) for path, each in found.items()]


def _line(split: str, sample: Sample, score: float) -> dict[str, Any]:
    return {"path": str(sample.image), "split": split, "label": sample.label, "score": score}


def _judge(outcome: dict[str, Any], lines: Sequence[dict[str, Any]], seed: int) -> None:
    """Add the rates of the verdicts, and the escapes of each type."""

    def of(kinds: Sequence[str]) -> Rates:
        chosen = [line for line in lines if line["label"] in kinds]
        return rates([line["label"] for line in chosen], [line["verdict"] for line in chosen], seed=seed)

    types = outcome["types"]
    whole = of([GOOD, *types])
    outcome |= {name: found and found._asdict() for name, found in whole.items()}
    for kind, metrics in types.items():
        escape = of([kind])["escape"]
        metrics["escape"] = escape and escape._asdict()
