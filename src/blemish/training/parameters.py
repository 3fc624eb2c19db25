"""Which parameters are trained, and which modules behave as they do while training."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import nn

from blemish.training.trainable import ParameterGroup


def options(groups: Sequence[ParameterGroup]) -> list[dict[str, Any]]:
    """The groups as torch's optimizers take them; `factor` is what the schedule's rate is multiplied with."""
    return [{"params": list(each.parameters), "weight_decay": each.decay, "factor": each.rate} for each in groups]


@contextmanager
def training(module: nn.Module, groups: Sequence[ParameterGroup]) -> Iterator[list[str]]:
    """The names of the parameters that stay as they are; the others ask for gradients, and only meanwhile."""
    chosen = {id(each) for group in groups for each in group.parameters}
    frozen = [name for name, each in module.named_parameters() if id(each) not in chosen]
    for each in module.parameters():
        each.requires_grad_(id(each) in chosen)
    set_mode(module, chosen)
    try:
        yield frozen
    finally:
        module.eval().requires_grad_(False)


def set_mode(module: nn.Module, chosen: Collection[int]) -> None:
    """Training mode, but for modules of whose parameters none is trained: an encoder sees as it always does."""
    own = {id(each) for each in module.parameters()}
    module.training = not own or not own.isdisjoint(chosen)
    for child in module.children():
        set_mode(child, chosen) if module.training else child.eval()
