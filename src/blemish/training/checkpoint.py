"""What a training changes, its running mean, and the one file from which it goes on."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from blemish.errors import BadInput
from blemish.files import write
from blemish.training.schedule import Schedule

State = dict[str, Tensor]
"""What training changes, by name: the trained parameters and all buffers."""
NAME = "checkpoint.pt"


def state(module: nn.Module, frozen: Collection[str]) -> State:
    """All tensors of the module but the parameters that stay as they are."""
    return {name: tensor for name, tensor in module.state_dict().items() if name not in frozen}


@torch.no_grad()
def follow(mean: State, now: State, keep: float) -> None:
    """mean <- keep mean + (1 - keep) now; what is counted, or has grown, is taken over."""
    for name, tensor in now.items():
        if tensor.is_floating_point() and tensor.shape == mean[name].shape:
            mean[name].lerp_(tensor, 1 - keep)
        else:
            mean[name] = tensor.clone()


class Checkpoint:
    """Everything that changes while training: kept together, so that it is saved and restored as a whole."""

    def __init__(
        self,
        module: nn.Module,
        frozen: Collection[str],
        optimizer: torch.optim.Optimizer,
        generators: Sequence[torch.Generator],
    ) -> None:
        self.module, self.frozen, self.optimizer, self.generators = module, frozen, optimizer, generators
        self.step = 0
        self.mean = {name: tensor.clone() for name, tensor in self.state().items()}

    def state(self) -> State:
        """What it is now."""
        return state(self.module, self.frozen)

    def advance(self, average: float) -> None:
        """One step is done."""
        follow(self.mean, self.state(), min(average, (1 + self.step) / (10 + self.step)))
        self.step += 1

    def save(self, folder: Path, schedule: Schedule) -> None:
        """Write the file, which replaces the last one whole; raises CannotWrite, and that one stays."""
        content = {
            "step": self.step,
            "schedule": json.dumps(asdict(schedule)),
            "model": self.state(),
            "optimizer": self.optimizer.state_dict(),
            "mean": self.mean,
            "random": [generator.get_state() for generator in self.generators],
        }
        data = io.BytesIO()
        torch.save(content, data)
        write(folder / NAME, data.getbuffer(), "make room, and go on from what is kept")

    def restore(self, folder: Path, schedule: Schedule) -> None:
        """Go on from the file, if there is one; raises BadInput for one that does not belong to this training."""
        path = folder / NAME
        if not path.exists():
            return
        content = _read(path)
        if content["step"] > schedule.steps:
            raise BadInput(
                f"{path} is at step {content['step']}, beyond the {schedule.steps} asked for: ask for more steps"
            )
        if _shapes(content["model"], self.module) != _shapes(self.state(), self.module):
            raise BadInput(f"{path} is of another model, or of other words: choose another folder, or remove it")
        self.module.load_state_dict(content["model"], strict=False)
        self.optimizer.load_state_dict(content["optimizer"])
        self.mean = {name: tensor.to(self.mean[name].device) for name, tensor in content["mean"].items()}
        for generator, before in zip(self.generators, content["random"], strict=False):
            generator.set_state(before)
        self.step = int(content["step"])


def _read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        missing = {"step", "model", "optimizer", "mean", "random"} - set(content)
    except (pickle.UnpicklingError, RuntimeError, EOFError, TypeError) as error:
        raise BadInput(f"{path} cannot be read ({str(error)[:100]}): remove it to begin anew") from error
    if missing:
        raise BadInput(f"{path} has no {', '.join(sorted(missing))}, as another blemish wrote it: remove it")
    return content


def _shapes(tensors: State, module: nn.Module) -> dict[str, torch.Size | None]:
    """By name; of buffers none, since they may grow."""
    sized = {name for name, _ in module.named_parameters()}
    return {name: tensor.shape if name in sized else None for name, tensor in tensors.items()}
