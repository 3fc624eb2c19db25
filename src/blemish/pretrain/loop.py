"""Training the student, and what is written of it."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import save
from torch import Tensor

from blemish.encoders.embedded.description import ABOUT, describe
from blemish.encoders.embedded.network import Embedded
from blemish.errors import BadInput
from blemish.files import guard_write
from blemish.pretrain.batches import Batches
from blemish.pretrain.course import Batch, PretrainModel
from blemish.pretrain.norms import NormedConvolution, freeze_norms, with_norms, without_norms
from blemish.progress import ShowProgress, no_progress
from blemish.training.checkpoint import State
from blemish.training.loop import never
from blemish.training.loop import train as train_model
from blemish.training.schedule import Schedule

SCHEDULE = Schedule(steps=4000, rate=2e-3, warmup=100, betas=(0.9, 0.95), clip=5.0, average=0.998)


@dataclass(frozen=True, slots=True)
class Mixture:
    """What a batch is made of, and how norms are trained."""

    pairs: int = 14  # twins of a batch
    singles: int = 12  # pictures of a batch that only teachers speak about
    held: float = 0.1  # share of the steps, the last ones, in which norms keep their statistics as they do in use


def train(
    model: PretrainModel,
    batches: Batches,
    schedule: Schedule,
    mixture: Mixture,
    folder: Path,
    *,
    watch: ShowProgress = no_progress,
    stop: Callable[[], bool] = never,
) -> bool:
    """Learn as `training.loop.train` does; the running mean ends up in `model.student`, its norms folded in.

    Where only parts of the student are trained there are no norms, so that nothing else of it changes.
    """
    if not model.parts:
        with_norms(model.student)
    cast(Any, model.student).to(memory_format=torch.channels_last)  # torch leaves this call untyped
    holds = round(schedule.steps * (1 - mixture.held))
    held = False

    def hold(step: int, mean: State) -> None:
        nonlocal held
        if step >= holds and not held:
            freeze_norms(model, mean)
            held = True

    def draw(number: int) -> Batch:
        return batches.draw(number, pairs=mixture.pairs, singles=mixture.singles)

    done = train_model(model, draw, schedule, folder, watch=watch, stop=stop, before=hold)
    model.student = without_norms(model.student).eval()
    return done


def initialise(model: Embedded, seed: int) -> Embedded:
    """The same model with random weights: He's for convolutions, small for matrices, smaller for pieces of words."""
    generator = torch.Generator().manual_seed(seed)
    model = model.to_empty(device="cpu") if next(model.parameters()).is_meta else model
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(_drawn(name, parameter, generator))
        for name, buffer in model.trunk.named_buffers():
            buffer.copy_(torch.tensor(getattr(model.trunk.config, name)).view(3, 1, 1))
    return model


def _drawn(name: str, parameter: Tensor, generator: torch.Generator) -> Tensor:
    if name.endswith("bias"):
        return torch.zeros(parameter.shape)
    if "norm" in name:
        return torch.ones(parameter.shape)
    fan_in = parameter[0].numel() if parameter.ndim > 1 else 1
    gain = 2.0 if parameter.ndim == 4 else 1.0
    vectors = {"known.weight": 0.3, "pieces.weight": 0.02}
    scale = next((value for ending, value in vectors.items() if name.endswith(ending)), math.sqrt(gain / fan_in))
    drawn = torch.randn(parameter.shape, generator=generator) * scale
    if name.endswith("known.weight"):
        drawn[0] = 0
    return drawn


def write(model: Embedded, path: Path) -> None:
    """A checkpoint that `blemish.encoders.load` reads: half-precision weights, configuration and vocabulary."""
    if any(isinstance(module, NormedConvolution) for module in model.modules()):
        raise BadInput("the model still has its batch norms: fold them in with without_norms first")
    tensors = {name: tensor.half().contiguous() for name, tensor in model.state_dict().items()}
    part = path.with_suffix(f".{os.getpid()}.part")  # each device has a process that comes by here
    with guard_write(path, "make room, and run the same command again"):
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(save({**tensors, ABOUT: describe(model)}))
        part.replace(path)
