"""How long and how fast to train."""

from __future__ import annotations

import math
from dataclasses import dataclass


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
    average: float = 0.0  # of the running mean of the weights, which is what is kept; 0: the last ones
    save_every: int = 100  # steps; a checkpoint is written after a minute at the latest
    seed: int = 0
    precision: str = "32-true"  # as Fabric names it
    device: str = "auto"  # "cpu", "cuda", "cuda:1", "mps", or the best there is
    devices: int = 1


def rate(step: int, schedule: Schedule) -> float:
    """Warm-up, then half a cosine down to `floor`, or the drops."""
    if step < schedule.warmup:
        return schedule.rate * (step + 1) / schedule.warmup
    if schedule.drops:
        return schedule.rate * math.prod(f for at, f in schedule.drops if step >= round(at * schedule.steps))
    share = (step - schedule.warmup) / max(1, schedule.steps - schedule.warmup)
    return schedule.rate * (schedule.floor + (1 - schedule.floor) * (1 + math.cos(math.pi * share)) / 2)
