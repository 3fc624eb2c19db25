"""What a model takes: arrays as tensors where it lies, and what towers refuse to look at, each in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, cast

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from blemish.errors import BadInput
from blemish.types import ArrayPrediction, Attention, Detector, Follower, Prediction


def device_of(model: object) -> torch.device:
    """Where a model's first tensor lies; whatever holds none computes on the processor."""
    tensors = chain(model.parameters(), model.buffers()) if isinstance(model, nn.Module) else iter(())
    return next((tensor.device for tensor in tensors), torch.device("cpu"))


def as_tensor(array: NDArray[Any]) -> Tensor:
    """The array's own memory, or a copy of what torch cannot have: what may not be written to, or lies backwards."""
    fits = array.flags.writeable and min(array.strides, default=0) >= 0
    return torch.from_numpy(array if fits else array.copy("K"))


def predict(detector: Detector, images: Tensor, *, follow: bool = False) -> Prediction:
    """Of images anywhere, made where the detector is and brought back."""
    look = cast(Follower, detector).follow if follow else detector
    with torch.inference_mode():
        found = look(images.to(device_of(detector)))
    return Prediction._make(each if each is None else each.cpu() for each in found)


def predict_arrays(detector: Detector, images: NDArray[Any], *, follow: bool = False) -> ArrayPrediction:
    """As `predict`, of arrays and in arrays."""
    found = predict(detector, as_tensor(images), follow=follow)
    floats = (each.float() if each is not None and each.is_floating_point() else each for each in found)
    return ArrayPrediction._make(each if each is None else each.numpy() for each in floats)


def check_images(images: Tensor, multiple: int) -> None:
    """Raises BadInput for anything that is not floating (N, 3, H, W) with sides in whole multiples."""
    if not images.is_floating_point():
        raise BadInput(f"expected images as floats in [0, 1], got {images.dtype}: divide 8-bit pixels by 255 first")
    if images.ndim != 4 or images.shape[1] != 3 or images.shape[2] % multiple or images.shape[3] % multiple:
        raise BadInput(
            f"expected images (N, 3, H, W) with H and W multiples of {multiple}, got {tuple(images.shape)}: resize "
            "them with blemish.images.resize"
        )


def check_layers(layers: Sequence[int], depth: int) -> None:
    """Raises BadInput for layers outside 1..depth."""
    if unknown := [layer for layer in layers if not 1 <= layer <= depth]:
        raise BadInput(f"layers {unknown} do not exist: this encoder has layers 1 to {depth}")


def refuse_seams(
    name: str, *, attention: Attention, last: int, between: object, extra: object, normed: bool, matrices: object
) -> None:
    """Raises BadInput for what only a transformer can do."""
    if attention != "qkv" or last or between or extra or not normed or matrices:
        raise BadInput(
            f"{name or 'this encoder'} is a residual network, which has no attention, last, between, extra, normed or "
            "matrices: choose an encoder with a vision transformer"
        )
