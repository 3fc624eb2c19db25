"""A picture that is an array in memory already -> RGB, as if it had been read from a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from blemish.errors import BadImage, BadInput

if TYPE_CHECKING:
    from torch import Tensor


def rgb(array: NDArray[Any] | Tensor | BadImage, name: str, white: float | None = None) -> NDArray[Any]:
    """(H, W, C) or (H, W) of numpy, (C, H, W) of torch -> as `read`; samples are 8 or 16 bits, or floats up to `white`.

    That is 1 for floats if it is left out. Raises the BadImage that stands for a picture that could not be had.
    """
    if isinstance(array, BadImage):
        raise array
    samples = (
        np.moveaxis(_with_channels(array), -1, 0) if isinstance(array, np.ndarray) else array.detach().cpu().numpy()
    )
    return _scaled(samples, name, white)


def _with_channels(array: NDArray[Any]) -> NDArray[Any]:
    return array[:, :, None] if array.ndim == 2 else array


def _scaled(samples: NDArray[Any], name: str, white: float | None) -> NDArray[Any]:
    """(C, H, W) -> RGB as `read` returns it; raises BadImage."""
    if samples.ndim != 3 or samples.shape[0] not in (1, 3) or not samples.size:
        raise BadImage(
            f"{name} is an array of {list(samples.shape)} in channels first: give grey or RGB, (H, W, 3) of numpy or "
            "(3, H, W) of torch"
        )
    kind = samples.dtype
    full = white if white is not None else {"uint16": 65535.0, "uint8": 255.0}.get(kind.name, 1.0)
    if not full > 0:
        raise BadInput(f"white is {white}: it is the sample value of full brightness, above 0")
    if kind.kind not in "uf" or (kind.kind == "u" and kind.itemsize > 2):
        raise BadImage(f"{name} is an array of {kind}: give uint8, uint16 or floats")
    if kind == np.uint8:
        grey_or_rgb = np.array(samples)
    else:
        grey_or_rgb = samples.astype(np.float32) / np.float32(full)
        if not ((grey_or_rgb >= 0) & (grey_or_rgb <= 1)).all():
            raise BadImage(f"{name} has samples outside 0 to {full:g}: scale them, or say what is white by --white")
    return np.ascontiguousarray(np.broadcast_to(grey_or_rgb, (3, *samples.shape[1:])))
