"""Tensors that exist only after learning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self, TypeVar

import torch
from torch import Tensor, nn

from blemish.errors import NotFitted

M = TypeVar("M", bound=nn.Module)
NARROW = frozenset({"mps"})
"""Kinds of device that have no float64."""


def double(tensor: Tensor) -> Tensor:
    """In float64, on the processor where its device has none."""
    return (tensor.cpu() if tensor.device.type in NARROW else tensor).double()


class Learned(nn.Module):
    """Named buffers, empty until stored; saved, moved and exported with their detector, loaded at the saved size.

    Those in float64 stay on the processor where the device they are moved to has none.
    """

    unread: frozenset[str] = frozenset()
    """Names of those that no prediction reads: they are there to learn more."""

    def __init__(self, *layouts: str, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.layout: dict[str, list[str]] = {}
        for layout in layouts:  # a name, and its axes if they are known, "rows: M D": those of one letter have one size
            name, _, axes = layout.partition(":")
            self.register_buffer(name, torch.empty(0, dtype=dtype))
            self.layout[name] = axes.split()

    @property
    def fitted(self) -> bool:
        """Whether every tensor has been stored."""
        return all(tensor.numel() for tensor in self.buffers(recurse=False))

    def store(self, tensors: Mapping[str, Tensor]) -> None:
        """Replace what was learned before by copies of these, which lie where the block lies."""
        for name, tensor in tensors.items():
            copy = tensor.detach().clone(memory_format=torch.contiguous_format)
            setattr(self, name, copy.to(self.get_buffer(name).device))

    def forget(self) -> None:
        """Back to the state before anything was learned."""
        self.store({name: tensor.new_empty(0) for name, tensor in self.named_buffers(recurse=False)})

    def require(self) -> None:
        """Raises NotFitted when there is nothing to compare with."""
        if not self.fitted:
            raise NotFitted("nothing has been learned yet: call fit() with images of good parts first")

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        wide = {name: each for name, each in self.named_buffers(recurse=False) if each.dtype == torch.float64}
        if not wide or fn(torch.empty(0)).device.type not in NARROW:
            super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
            return self
        for name in wide:
            setattr(self, name, None)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, tensor in wide.items():
            setattr(self, name, tensor)
        return self

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *args: Any) -> None:
        for name, tensor in self.named_buffers(recurse=False):
            if prefix + name in state:
                setattr(self, name, torch.empty_like(state[prefix + name], device=tensor.device))
        super()._load_from_state_dict(state, prefix, *args)


def renew_buffer(module: M, name: str, read: Callable[[], Tensor]) -> M:
    """The module, whose buffer of that name is read anew; in training mode it stays as it was.

    What a detector's learned words say is read once so, when training ends, for all pictures to come.
    """
    if not module.training:
        with torch.no_grad():
            setattr(module, name, read())
    return module


class Updates(Learned):
    """How many batches its loss was taken of; before the first its parameters are random and it predicts nothing."""

    def __init__(self) -> None:
        super().__init__("count: 1", dtype=torch.int64)

    @property
    def number(self) -> int:
        """So many so far."""
        return int(self.get_buffer("count").sum())

    def add(self) -> None:
        """One more."""
        self.store({"count": 1 + self.get_buffer("count").sum(0, keepdim=True)})

    def require(self) -> None:
        """Raises NotFitted before the first."""
        if not self.get_buffer("count").numel():
            raise NotFitted("this detector has not been trained: use `blemish train`, or training.loop.train, first")
