"""The training loop: seeded, resumable at any step, on a processor or on graphics cards."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from blemish.encoders.embedded.network import ABOUT, Embedded, describe
from blemish.errors import BadInput, MissingExtra
from blemish.pretrain.batches import Batches
from blemish.pretrain.course import Batch, PretrainModel
from blemish.pretrain.norms import NormedConvolution, hold_norms, with_norms, without_norms

Tell = Callable[[int, dict[str, float]], None]
"""tell(step, losses) after every step."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast to learn."""

    steps: int = 4000
    rate: float = 2e-3
    warmup: int = 100
    decay: float = 0.02  # of weights, decoupled
    average: float = 0.998  # of the running mean of the weights, which is what is shipped
    pairs: int = 14  # twins of a batch
    singles: int = 12  # pictures of a batch that only teachers speak about
    held: float = 0.1  # share of the steps, the last ones, in which norms keep their statistics as they do in use
    save_every: int = 100
    seed: int = 0
    precision: str = "32-true"  # as Fabric names it
    devices: int = 1
    accelerator: str = "auto"


def train(
    course: PretrainModel, batches: Batches, plan: Schedule, folder: Path, *, tell: Tell, until: float = math.inf
) -> bool:
    """Learn, going on from the checkpoint in `folder` where there is one; the running mean ends up in `course.student`.

    Stops cleanly at the time `until` (seconds, of time.time) with a checkpoint. Returns whether all steps are done.
    """
    fabric = _fabric(plan)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(plan.seed)
        with_norms(course.student)
        cast(Any, course.student).to(memory_format=torch.channels_last)  # torch leaves this call untyped
        course.train()
        optimizer = torch.optim.AdamW(_groups(course, plan.decay), lr=plan.rate, betas=(0.9, 0.95))
        mean = deepcopy(course.student).requires_grad_(False)
        wrapped, optimizer = fabric.setup(course, optimizer)
        mean.to(fabric.device)
        start = _restored(folder, course, optimizer, mean, plan)  # once the weights are on their device
        done = start
        for step in range(start, plan.steps):
            if fabric.broadcast(time.time() > until):  # one clock for all devices
                break
            if step == max(start, round(plan.steps * (1 - plan.held))):
                hold_norms(course.student, mean)
            losses = _step(fabric, wrapped, optimizer, batches, plan, step)
            _follow(mean, course.student, min(plan.average, (1 + step) / (10 + step)))
            done = step + 1
            tell(done, losses)
            if done % plan.save_every == 0:
                _save(fabric, folder, course, optimizer, mean, done, plan)
        _save(fabric, folder, course, optimizer, mean, done, plan)
    mean.cpu().load_state_dict(fabric.broadcast(mean.state_dict()))  # each device's norms saw other pictures
    course.student = without_norms(mean).eval()
    return done == plan.steps


def require_fabric() -> Any:
    """Lightning Fabric; raises MissingExtra."""
    try:
        from lightning_fabric import Fabric
    except ImportError as error:
        raise MissingExtra("training needs Lightning Fabric: pip install 'blemish[train]'") from error
    return Fabric


def _fabric(plan: Schedule) -> Any:
    # An aim of weight 0, and a batch that no teacher speaks about, leave parameters without a gradient.
    strategy = "ddp_find_unused_parameters_true" if plan.devices > 1 else "auto"
    fabric = require_fabric()(
        accelerator=plan.accelerator, devices=plan.devices, precision=cast(Any, plan.precision), strategy=strategy
    )
    fabric.launch()
    return fabric


def _step(
    fabric: Any, course: Any, optimizer: torch.optim.Optimizer, batches: Batches, plan: Schedule, step: int
) -> dict[str, float]:
    """One update; every device draws batches of its own."""
    for group in optimizer.param_groups:
        group["lr"] = rate(step, plan)
    batch = batches.draw(step * fabric.world_size + fabric.global_rank, pairs=plan.pairs, singles=plan.singles)
    losses = course(_moved(batch, fabric.device))
    total = course.module.total(losses) if hasattr(course, "module") else course.total(losses)
    if not torch.isfinite(total):
        raise BadInput(f"training diverged at step {step}: start again with a smaller rate than {plan.rate}")
    optimizer.zero_grad(set_to_none=True)
    fabric.backward(total)
    fabric.clip_gradients(course, optimizer, max_norm=5.0)
    optimizer.step()
    return {name: float(loss.detach()) for name, loss in losses.items()} | {"total": float(total.detach())}


def _moved(batch: Batch, device: torch.device) -> Batch:
    return batch._replace(
        images=batch.images.to(device, memory_format=torch.channels_last),
        targets=tuple(each.to(device) for each in batch.targets),
        masks=batch.masks.to(device),
        product=batch.product.to(device),
        family=batch.family.to(device),
        other=batch.other.to(device),
    )


def rate(step: int, plan: Schedule) -> float:
    """Warm-up, then half a cosine down to a hundredth."""
    if step < plan.warmup:
        return plan.rate * (step + 1) / plan.warmup
    share = (step - plan.warmup) / max(1, plan.steps - plan.warmup)
    return plan.rate * (0.01 + 0.99 * (1 + math.cos(math.pi * share)) / 2)


def _groups(course: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Matrices and kernels decay; norms, biases, scalars and word vectors do not."""
    named = list(course.named_parameters())
    decays = [p for name, p in named if p.ndim > 1 and ".known." not in name and ".pieces." not in name]
    chosen = set(map(id, decays))
    return [
        {"params": decays, "weight_decay": decay},
        {"params": [p for _, p in named if id(p) not in chosen], "weight_decay": 0.0},
    ]


@torch.no_grad()
def _follow(mean: nn.Module, module: nn.Module, keep: float) -> None:
    """mean <- keep mean + (1 - keep) module; counters and running statistics of norms likewise."""
    theirs = dict(module.state_dict())
    for name, tensor in mean.state_dict().items():
        if tensor.is_floating_point():
            tensor.lerp_(theirs[name].to(tensor.dtype), 1 - keep)
        else:
            tensor.copy_(theirs[name])


def _save(
    fabric: Any,
    folder: Path,
    course: nn.Module,
    optimizer: torch.optim.Optimizer,
    mean: nn.Module,
    step: int,
    plan: Schedule,
) -> None:
    """Everything needed to go on, in one file that replaces the last one whole; written by the first device."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        "step": step,
        "plan": json.dumps(asdict(plan)),
        "course": course.state_dict(),
        "optimizer": optimizer.state_dict(),
        "mean": mean.state_dict(),
        "random": torch.get_rng_state(),
    }
    if fabric.is_global_zero:
        part = folder / "checkpoint.part"
        torch.save(state, part)
        part.replace(folder / "checkpoint.pt")
    fabric.barrier()


def _restored(
    folder: Path, course: nn.Module, optimizer: torch.optim.Optimizer, mean: nn.Module, plan: Schedule
) -> int:
    """The step to go on with; 0 where there is no checkpoint."""
    path = folder / "checkpoint.pt"
    if not path.exists():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    if state["step"] > plan.steps:
        raise BadInput(f"{path} is at step {state['step']}, beyond the {plan.steps} asked for: ask for more steps")
    if _shapes(state["course"]) != _shapes(course.state_dict()):
        raise BadInput(f"{path} is of another model, other words or other teachers: choose another folder for the work")
    course.load_state_dict(state["course"])
    optimizer.load_state_dict(state["optimizer"])
    mean.load_state_dict(state["mean"])
    torch.set_rng_state(state["random"])
    return int(state["step"])


def _shapes(state: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in state.items()}


def initialised(model: Embedded, seed: int) -> Embedded:
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
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")  # each device has a process that comes by here
    save_file({**tensors, ABOUT: describe(model)}, part)
    part.replace(path)
