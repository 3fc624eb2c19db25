"""The training loop, which knows no model: seeded, resumable at any step, on a processor or on graphics cards."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from blemish.errors import BadInput
from blemish.progress import ShowProgress, no_progress
from blemish.training import fabric as running
from blemish.training.checkpoint import Checkpoint, State
from blemish.training.parameters import options, training
from blemish.training.schedule import Schedule, batch_numbers, rate, stage
from blemish.training.trainable import Staged, Trainable

UNSAVED = 60.0
"""Seconds of work after which a checkpoint is written, however few steps they were."""


def never() -> bool:
    """Nobody asks it to stop."""
    return False


def train(
    model: Trainable[Any],
    batches: Callable[[int], Any],
    schedule: Schedule,
    folder: Path,
    *,
    watch: ShowProgress = no_progress,
    stop: Callable[[], bool] = never,
    before: Callable[[int, State], None] | None = None,
) -> bool:
    """Train the model in place, going on from the checkpoint in `folder` where there is one.

    batches: the batch of a number, the same whenever it is asked for. before: is handed the number of each step, and
    the running mean of what is trained. stop: asked before each step; where it says so, training ends with a
    checkpoint. Returns whether all steps are done.
    """
    fabric, module, groups = running.launch(schedule), cast(nn.Module, model), list(model.trained_parameters())
    home = next(module.parameters()).device
    with running.randomness(fabric.device, schedule.seed) as generators, training(module, groups) as frozen:
        optimizer = torch.optim.AdamW(options(groups), lr=schedule.rate, betas=schedule.betas)
        objective, optimizer = fabric.setup(_Objective(model), optimizer)
        checkpoint = Checkpoint(module, frozen, optimizer, generators)
        checkpoint.restore(folder, schedule)
        advance = (watch if fabric.is_global_zero else no_progress)("training", schedule.steps, checkpoint.step)
        saved = time.monotonic()
        begun: int | None = None
        while checkpoint.step < schedule.steps:
            asked, late = fabric.broadcast((stop(), time.monotonic() - saved > UNSAVED))  # one clock for all devices
            if asked:
                break
            if before:
                before(checkpoint.step, checkpoint.mean)
            if isinstance(model, Staged) and (now := stage(checkpoint.step, schedule)) != begun:
                model.begin(begun := now)
            losses = _step(fabric, objective, optimizer, batches, schedule, checkpoint.step)
            checkpoint.advance(schedule.average)
            advance(losses)
            if late or checkpoint.step % schedule.save_every == 0:
                _save(fabric, checkpoint, folder, schedule)
                saved = time.monotonic()
        if not all(each.isfinite().all() for each in module.parameters() if each.requires_grad):
            raise _diverged(checkpoint.step, schedule)  # no loss has seen the last weights
        _save(fabric, checkpoint, folder, schedule)
        module.load_state_dict(fabric.broadcast(checkpoint.mean), strict=False)  # buffers saw each device's own batches
    module.to(home)
    return checkpoint.step == schedule.steps


class _Objective(nn.Module):
    """The loss as a forward, since that is what Fabric runs in the precision asked for and on several devices."""

    def __init__(self, model: Trainable[Any]) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Callable[[], Any]) -> dict[str, Tensor]:
        """Of a function that gives the batch: Fabric would take a batch apart."""
        return dict(self.model.loss(batch()))


def _step(
    fabric: Any,
    objective: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Callable[[int], Any],
    schedule: Schedule,
    step: int,
) -> dict[str, float]:
    """One update from one or several batches; every device has batches of its own."""
    for group in optimizer.param_groups:
        group["lr"] = rate(step, schedule) * group["factor"]
    optimizer.zero_grad(set_to_none=True)
    told: dict[str, float] = {}
    numbers = batch_numbers(step, schedule)
    for number in numbers:
        batch = batches(number * fabric.world_size + fabric.global_rank).to(fabric.device)
        with fabric.no_backward_sync(objective, enabled=number < numbers[-1]):
            losses: dict[str, Tensor] = objective(lambda found=batch: found)
            total = torch.stack(list(losses.values())).sum()
            if not torch.isfinite(total):
                raise _diverged(step, schedule)
            fabric.backward(total / len(numbers))
        for name, loss in (losses | {"total": total}).items():
            told[name] = told.get(name, 0.0) + float(loss.detach()) / len(numbers)
    if schedule.clip:
        norm = fabric.clip_gradients(objective, optimizer, max_norm=schedule.clip, error_if_nonfinite=False)
        if not torch.isfinite(norm) and schedule.precision != "16-mixed":  # whose scaler passes such a step over
            raise _diverged(step, schedule)
    optimizer.step()
    return told


def _diverged(step: int, schedule: Schedule) -> BadInput:
    return BadInput(f"training diverged at step {step}: start anew with a smaller rate than {schedule.rate}")


def _save(fabric: Any, checkpoint: Checkpoint, folder: Path, schedule: Schedule) -> None:
    if fabric.is_global_zero:
        checkpoint.save(folder, schedule)
    fabric.barrier()
