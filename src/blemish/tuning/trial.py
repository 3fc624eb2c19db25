"""One candidate on one fold: it learns the parts that are not held out, and scores the others, some with flaws."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from blemish.benchmark.plan import PlannedTrial
from blemish.benchmark.running import Attempt, Failure
from blemish.benchmark.trial import Measured
from blemish.errors import BlemishError
from blemish.evaluation.evaluate import Trial, balance_trial, evaluate, fit_trial, test_samples, training_samples
from blemish.images import Unreadable
from blemish.notices import gather
from blemish.progress import NOTHING, Advance, ShowProgress
from blemish.runs.decision import Decided
from blemish.runs.views import seconds_of
from blemish.tuning.candidates import Candidate
from blemish.types import Encoder, Sample

FINEST = 64
"""Blocks along a side of a map by which its pixels are judged."""
NO_TIME = "there was no time left for it: give a longer --budget, and the same command goes on"


SHARE, SHARE_AT_FIRST = 0.25, 0.6
"""Of the time that is left, which one trial may take: a slow one must not keep out the others; the first may more."""


class OutOfTime(BlemishError):
    """A trial that would take longer than there is time."""


@dataclass(slots=True)
class Clock:
    """Seconds that trials took, those of earlier runs too, and the most that they may take."""

    spent: float = 0.0
    until: float = 0.0
    measured: int = 0  # trials that were ended

    @property
    def limit(self) -> float:
        """Seconds that the next trial may take."""
        return (SHARE if self.measured > 1 else SHARE_AT_FIRST) * self.left

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.until - self.spent


def plan_trial(candidate: Candidate, table: Path, fold: str) -> PlannedTrial:
    """The trial of a candidate on a fold of a table of `bench.lay_out`."""
    trial = Trial(
        table, "table", fold, candidate.method, candidate.encoder, arguments=candidate.arguments, view=candidate.view,
        product=str(candidate.arguments.get("product", "object")),
    )  # fmt: skip
    return PlannedTrial(table.stem, "", candidate.encoder, "float32", 0.05, trial)


def attempts(encoders: Mapping[str, Encoder], clock: Clock) -> Attempt:
    """How trials are measured in this process, on encoders that are loaded, as long as there is time."""

    def attempt(planned: PlannedTrial, watch: ShowProgress) -> Measured | Failure:
        trial, begun = replace(planned.trial, encoder=encoders[planned.encoder]), time.perf_counter()
        try:
            with gather():
                found = measure_flaws(trial, _limit(begun + clock.limit))
        except OutOfTime:
            return Failure(NO_TIME)
        except Exception as error:  # as in a process of its own: the other candidates go on
            return Failure(f"{type(error).__name__}: {error}")
        finally:
            clock.measured += 1
            clock.spent += (taken := time.perf_counter() - begun)
        return Measured(found | {"wall_seconds": taken}, [])

    return lambda planned, watch: attempt(planned, watch) if clock.left > 0 else Failure(NO_TIME)


def measure_flaws(trial: Trial, watch: ShowProgress) -> dict[str, Any]:
    """Scores by label, pixel AP of each label's flaws, and seconds: plain values."""
    bad, start = list[Unreadable](), time.perf_counter()
    test, kept = test_samples(trial), _Scores()
    good = training_samples(trial)
    trial = balance_trial(trial, good, watch=watch)
    detector = fit_trial(trial, good, test, watch=watch, unreadable=bad)
    learning = time.perf_counter() - start
    report = evaluate(detector, test, view=trial.view, watch=watch, sinks=[kept], finest=FINEST)
    precision = {name: metrics.pixel_ap and metrics.pixel_ap.value for name, metrics in report.types.items()}
    return {
        "scores": kept.scores,
        "pixel_ap": precision,
        "seconds_per_image": seconds_of(detector, [each.image for each in test], trial.view),
        "learning_seconds": learning,
    }


class _Scores:
    """A sink of labels and scores."""

    def __init__(self) -> None:
        self.scores: list[tuple[str, float]] = []

    def add(self, found: Decided | Unreadable, sample: Sample | None = None) -> None:
        if sample is not None and not isinstance(found, Unreadable):
            self.scores.append((sample.label, found.result.score))


def _limit(end: float) -> ShowProgress:
    """Raises OutOfTime at the next picture after that time."""

    def watch(stage: str, total: int, done: int = 0, /) -> Advance:
        def advance(measured: Mapping[str, float] = NOTHING, /) -> None:
            if time.perf_counter() > end:
                raise OutOfTime(NO_TIME)

        return advance

    return watch
