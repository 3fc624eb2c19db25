"""Rows of features, each of one picture, and what all blocks that remember such rows have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from blemish.errors import BadInput

Rows = tuple[Tensor, ...]
"""Tensors of one length: each row of each is of one picture."""


@runtime_checkable
class Memory(Protocol):
    """A block that predicts by rows it remembers; a detector's memories are filled with what it extracts, in order."""

    @property
    def fitted(self) -> bool:
        """Whether there is anything to predict by."""

    def recall(self) -> Rows:
        """What it remembers; tensors without elements if nothing."""

    def hold(self, *rows: Tensor) -> None:
        """Remember copies of these and nothing else, but for what was absorbed."""

    def forget(self) -> None:
        """Back to the state before anything was learned."""


@runtime_checkable
class Absorbing(Memory, Protocol):
    """A memory that predicts by sums over its rows: some can be added up for good to save room."""

    def absorb(self, *rows: Tensor) -> int:
        """Add up so many of the first of these, behind what was absorbed before; `hold` the others.

        What is absorbed changes no digit of what follows from all, but cannot be taken back.
        """


def memories(detector: object) -> list[Memory]:
    """The memories of a detector, in the order in which it has them."""
    assert isinstance(detector, nn.Module)
    return [module for module in detector.modules() if isinstance(module, Memory)]


def concatenate(lots: Sequence[Rows]) -> Rows:
    """All rows, in their order, of lots of which those without elements count for nothing.

    Raises BadInput where their shapes do not agree.
    """
    full = [lot for lot in lots if len(lot[0])] or list(lots[:1])
    if len({tuple(tensor.shape[1:] for tensor in lot) for lot in full}) > 1:
        raise BadInput(
            "these pictures give features of another shape than those that are known: they have another size"
        )
    return tuple(torch.cat(parts) for parts in zip(*full, strict=True))
