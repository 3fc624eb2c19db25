"""Descending a loss over what is kept in memory: the one loop of all that learns from descriptions of examples."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


def descend(
    optimizer: Optimizer,
    loss: Callable[[], Tensor],
    *,
    steps: int = 1,
    decline: LRScheduler | None = None,
    after: Callable[[], None] | None = None,
) -> None:
    """Take so many steps down a loss, which is asked anew for each; a search takes its own steps in one.

    decline: of the optimizer's rates. after: what is done after each step.
    """

    def slope() -> Tensor:
        optimizer.zero_grad()
        found = loss()
        found.backward()
        return found

    for _ in range(steps):
        with torch.enable_grad():
            optimizer.step(slope)  # type: ignore[arg-type]  # whatever the loss returns comes back
        if decline:
            decline.step()
        if after:
            after()


def search(parameters: Iterable[Tensor], loss: Callable[[], Tensor], steps: int) -> None:
    """Where a smooth loss of all examples is least: by L-BFGS with a line search, at most so many steps."""
    descend(torch.optim.LBFGS([*parameters], max_iter=steps, line_search_fn="strong_wolfe"), loss)
