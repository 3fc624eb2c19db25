"""Models to a device, and devices by name."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

from blemish.encoders.inputs import device_of
from blemish.errors import BadInput
from blemish.types import Encoder

AUTO = "auto"
M = TypeVar("M")


def place_model(model: M, device: torch.device) -> M:
    """The model, moved there if it is one that can be moved."""
    return model.to(device) if isinstance(model, nn.Module) else model


def beside(model: M, other: object) -> M:
    """The model, moved to where another one lies."""
    return place_model(model, device_of(other)) if isinstance(other, nn.Module) else model


def keep_here(model: M) -> M:
    """The model, all of which but its encoder is brought to the processor."""
    if not isinstance(model, nn.Module):
        return model
    for child in model.children():
        if not isinstance(child, Encoder):
            child.to("cpu")
    for each in (*model.parameters(recurse=False), *model.buffers(recurse=False)):
        each.data = each.data.cpu()
    return model


def device_of_name(name: str) -> torch.device:
    """A device by name, "cuda:1"; "auto" is the best there is. Raises BadInput for one that is not here."""
    there = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available()), "cpu": 1}
    if name == AUTO:
        return torch.device(next(kind for kind, count in there.items() if count))
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise BadInput(f"there is no device {name!r}: choose auto, cpu, cuda, cuda:1 or mps") from error
    count = there.get(device.type, 0)
    if (device.index or 0) >= count:
        present = ", ".join(kind for kind, number in there.items() if number)
        some = f"there are {count} of {device.type}" if count else f"this machine has {present}"
        raise BadInput(f"there is no device {name!r} here, {some}: choose one of them, or auto")
    return device
