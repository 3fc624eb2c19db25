"""How long and how fast to train."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from blemish.errors import BadInput


class Stage(NamedTuple):
    """A part of a training that has a loss of its own."""

    share: float  # of the steps; of the last stage it is the rest
    accumulate: int = 1  # times the schedule's


@dataclass(frozen=True, slots=True)
class Schedule:
    """Everything about a training that is neither model nor data."""

    steps: int = 1000  # updates
    rate: float = 1e-3
    batch_size: int = 8  # for whoever makes the batches
    warmup: int = 0  # steps
    floor: float = 0.01  # share of the rate at which the cosine ends
    drops: tuple[tuple[float, float], ...] = ()  # instead of the cosine: (share of the steps, factor from there on)
    betas: tuple[float, float] = (0.9, 0.999)
    clip: float = 0.0  # largest norm of the gradient; 0: it is left as it is
    accumulate: int = 1  # batches of an update
    stages: tuple[Stage, ...] = ()  # of a method that is trained in several, see `Staged`
    average: float = 0.0  # of the running mean of the weights, which is what is kept; 0: the last ones
    save_every: int = 100  # steps; a checkpoint is written after a minute at the latest
    seed: int = 0
    precision: str = "32-true"  # as Fabric names it
    device: str = "auto"  # "cpu", "cuda", "cuda:1", "mps", or the best there is
    devices: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1:  # or it is no number; each step moves every weight by about so much
            raise BadInput(f"a learning rate of {self.rate:g}: give one above 0 and at most 1; by 0 nothing is learned")


def rate(step: int, schedule: Schedule) -> float:
    """Warm-up, then half a cosine down to `floor`, or the drops."""
    if step < schedule.warmup:
        return schedule.rate * (step + 1) / schedule.warmup
    if schedule.drops:
        return schedule.rate * math.prod(f for at, f in schedule.drops if step >= round(at * schedule.steps))
    share = (step - schedule.warmup) / max(1, schedule.steps - schedule.warmup)
    return schedule.rate * (schedule.floor + (1 - schedule.floor) * (1 + math.cos(math.pi * share)) / 2)


def stage(step: int, schedule: Schedule) -> int:
    """The number of the stage of a step, from 0; each stage has at least one step while there are any."""
    return sum(step >= begin for begin in _beginnings(schedule)[1:])


def batch_numbers(step: int, schedule: Schedule) -> range:
    """The numbers of the batches of an update: with those of all updates, each number once."""
    sizes = [schedule.accumulate * each.accumulate for each in schedule.stages or (Stage(1.0),)]
    begins = _beginnings(schedule)
    ends = [*begins[1:], schedule.steps]
    first = sum(max(0, min(step, end) - begin) * size for begin, end, size in zip(begins, ends, sizes, strict=True))
    return range(first, first + sizes[stage(step, schedule)])


def _beginnings(schedule: Schedule) -> list[int]:
    """The first step of each stage."""
    found = [0]
    for each in schedule.stages[:-1]:
        found.append(found[-1] + max(1, round(each.share * schedule.steps)))
    return found
