"""Trials spread over a Ray cluster: each in a process of its own there too, and what came of it is kept here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial

from blemish.benchmark.plan import PlannedTrial
from blemish.benchmark.running import Failure, measure_in_process
from blemish.benchmark.trial import Measured
from blemish.cluster import Crew, spread
from blemish.progress import no_progress


def attempt_on_ray(trials: Sequence[PlannedTrial], *, crew: Crew) -> Iterator[tuple[int, Measured | Failure]]:
    """The number of each trial and what came of it, as they are done; data sets lie at the same place everywhere."""
    make = partial(_Measuring, list(trials))
    for text in spread(range(len(trials)), make, crew):
        said = json.loads(text)
        failed = "error" in said
        yield said["number"], Failure(said["error"]) if failed else Measured(said["outcome"], said["scores"])


class _Measuring:
    def __init__(self, trials: Sequence[PlannedTrial]) -> None:
        self._trials = trials

    def __call__(self, number: int) -> str:
        return json.dumps({"number": number} | measure_in_process(self._trials[number], no_progress)._asdict())
