"""A second device made of the processor: it computes as usual and refuses whatever lies in two places at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from blemish.blocks import learned

DEVICE = torch.device("meta")
"""A device that torch knows everywhere, and that computes nothing by itself."""


class Elsewhere(Tensor):
    """A tensor that says it lies on `DEVICE`; its values are in `plain`."""

    plain: Tensor
    is_meta = False
    has_float64 = True

    @staticmethod
    def __new__(cls, values: Tensor) -> Elsewhere:
        if values.dtype == torch.float64 and not cls.has_float64:
            raise TypeError("the second device has no float64")
        made: Elsewhere = torch.Tensor._make_wrapper_subclass(
            cls, values.size(), strides=values.stride(), dtype=values.dtype, device=DEVICE
        )
        made.plain = values
        return made

    def tolist(self) -> Any:
        """A value that is asked for comes to the processor."""
        return self.plain.tolist()

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, function: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return _computed(function, args, kwargs or {})


class _Placing(TorchDispatchMode):
    """Sees what is made on the device or moved to it, which no tensor there takes part in yet."""

    def __torch_dispatch__(
        self, function: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return _computed(function, args, kwargs or {})


class _Making(TorchFunctionMode):
    """Values that are given one by one are made here and moved."""

    def __torch_function__(
        self, function: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        device = given.get("device")
        if function not in (torch.tensor, torch.as_tensor) or device is None:
            return function(*args, **given)
        return function(*args, **{**given, "device": "cpu"}).to(device)


@torch.inference_mode(False)
@torch.no_grad()
def _computed(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The function on the values; the result lies where its arguments do, or where it is asked to."""
    name = str(function)
    tensors = [each for each in tree_flatten((args, kwargs))[0] if isinstance(each, Tensor)]
    there = [isinstance(each, Elsewhere) for each in tensors]
    assert all(far or each.device != DEVICE for each, far in zip(tensors, there, strict=True)), f"{name}: no values"
    target = kwargs.get("device")
    mixes = name.startswith(("aten._to_copy", "aten.to.", "aten.copy_", "aten.index."))  # as torch allows
    if not mixes and any(there):
        stray = [each for each, far in zip(tensors, there, strict=True) if not far and each.dim() > 0]
        assert not stray, f"{name}: {[tuple(each.shape) for each in stray]} lie on the processor, the others do not"
    plain_args, plain_kwargs = tree_map(_plain, (args, kwargs))
    if target is not None:
        plain_kwargs = {**plain_kwargs, "device": torch.device("cpu")}
    found = function(*plain_args, **plain_kwargs)
    if name.split(".")[1].endswith("_") and not name.startswith("aten.__"):  # in place
        return args[0]
    far = any(there) if target is None else torch.device(target).type == DEVICE.type
    return tree_map(lambda each: Elsewhere(each) if isinstance(each, Tensor) and far else each, found)


def _plain(value: Any) -> Any:
    return value.plain if isinstance(value, Elsewhere) else value


@contextmanager
def narrow_device() -> Iterator[torch.device]:
    """The device without float64, as graphics of Apple's are."""
    with pytest.MonkeyPatch.context() as patch, second_device() as device:
        patch.setattr(Elsewhere, "has_float64", False)
        patch.setattr(learned, "NARROW", {device.type})
        yield device


@contextmanager
def second_device() -> Iterator[torch.device]:
    """The device, for as long as it lasts."""
    with _Placing(), _Making():  # type: ignore[no-untyped-call]
        yield DEVICE
