"""Quick trainings of every method that is trained, on drawn parts with and without a defect."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from tests.support.quick import SIDE, quick
from tests.support.told import Told

from blemish import catalog, encoders
from blemish.recipes.fit import TrainedDetector
from blemish.training.loop import train
from blemish.types import GOOD, Batch

TRAINED = sorted(name for name, card in catalog.METHODS.items() if card.trained)
STEPS, MORE_STEPS = 20, {"clip-dsa": 40, "glass": 40, "mvfa": 40, "rare-clip": 40, "sea-clip": 40}
"""After which every method has learned to tell these parts apart, and of those that learn more slowly."""


def batch(number: int, count: int = 4) -> Batch:
    """Grey parts with a bright bar and a little noise, and a dark square somewhere in every second one."""
    generator = torch.Generator().manual_seed(number)
    images = 0.4 + 0.1 * torch.rand(count, 3, SIDE, SIDE, generator=generator)
    images[:, :, SIDE // 4 : SIDE // 2] += 0.2
    masks = torch.zeros(count, SIDE, SIDE, dtype=torch.bool)
    for at in range(1, count, 2):
        y, x = torch.randint(0, SIDE - 20, (2,), generator=generator).tolist()
        masks[at, y : y + 20, x : x + 20] = True
    images[masks[:, None].expand_as(images)] = 0.0
    labels = masks.flatten(1).any(1)
    types = tuple("hole" if bad else GOOD for bad in labels.tolist())
    return Batch(images, masks, labels, types, tuple(f"{number}-{at}" for at in range(count)))


def arguments(name: str) -> dict[str, Any]:
    """Its quick ones, and that defects are among what it learns from."""
    return quick(name) | ({"supervised": True} if name == "supersimplenet" else {})


def begun(name: str) -> TrainedDetector:
    """As it is before training."""
    made: TrainedDetector = catalog.method(name)(encoders.load("test-tiny"), **arguments(name))
    return made


def trained(
    detector: TrainedDetector, folder: Path, *, steps: int, told: Told | None = None, save_every: int = 2
) -> TrainedDetector:
    """The same detector, after `steps` steps at a rate that shows, with a checkpoint every second one or less often."""
    rate = 10 * detector.schedule.rate
    schedule = replace(detector.schedule, steps=steps, rate=rate, batch_size=4, accumulate=1)
    schedule = replace(schedule, save_every=save_every, device="cpu")
    train(detector, batch, schedule, folder, watch=told or Told())
    return detector


@cache
def ready_and_told(name: str) -> tuple[TrainedDetector, Told]:
    """Trained, and what was told of it; shared between tests, none of which may change it."""
    told, steps = Told(), MORE_STEPS.get(name, STEPS)
    with TemporaryDirectory() as folder:
        return trained(begun(name), Path(folder), steps=steps, told=told, save_every=steps), told


def ready(name: str) -> TrainedDetector:
    """The detector of these."""
    return ready_and_told(name)[0]
