"""Lightning Fabric: where training runs, in which precision, and its random numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from blemish.errors import BadInput, MissingExtra
from blemish.training.schedule import Schedule


def require_fabric() -> Any:
    """Lightning Fabric; raises MissingExtra."""
    try:
        from lightning_fabric import Fabric
    except ImportError as error:
        raise MissingExtra("training needs Lightning Fabric: pip install 'blemish[train]'") from error
    return Fabric


def launch(schedule: Schedule) -> Any:
    """Fabric as the schedule asks for it; raises BadInput for a precision that the device does not have."""
    # A term of weight 0, or a batch that lacks something, leaves parameters without a gradient.
    strategy = "ddp_find_unused_parameters_true" if schedule.devices > 1 else "auto"
    kind, _, number = schedule.device.partition(":")
    if kind == "cpu" and schedule.precision == "16-mixed":
        raise BadInput("16-mixed is for graphics cards: train in bf16-mixed, or in 32-true, which is exact")
    devices = [int(number)] if number else schedule.devices
    fabric = require_fabric()(accelerator=kind, devices=devices, precision=schedule.precision, strategy=strategy)
    fabric.launch()
    return fabric


@contextmanager
def randomness(device: torch.device, seed: int) -> Iterator[list[torch.Generator]]:
    """torch's own generators, of the processor and of the device, from the seed; afterwards they are as they were."""
    cards = [device.index or 0] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cards):
        generators = [torch.default_generator, *(torch.cuda.default_generators[card] for card in cards)]
        for generator in generators:
            generator.manual_seed(seed)
        yield generators
