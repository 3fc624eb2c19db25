"""Pictures from anywhere: a file, its bytes, or an array in memory, with the name that results go by."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blemish.errors import BadImage, BadInput
from blemish.images.reading import read


class Source(NamedTuple):
    """A picture and what it is called."""

    content: Path | bytes | NDArray[Any] | Tensor  # a file, a file's bytes, (H, W, C) or (H, W) of numpy, or (C, H, W)
    id: str


def source_of(picture: Path | Source) -> Source:
    """A path is called what it was given as."""
    return picture if isinstance(picture, Source) else Source(picture, str(picture))


def read_source(source: Source, *, white: float | None = None) -> Tensor:
    """As `read`; an array holds 8 or 16 bits, or floats up to `white`, which is 1 if left out."""
    if isinstance(source.content, Path):
        return read(source.content, white=white)
    if isinstance(source.content, bytes):
        return read(source.id, content=source.content, white=white)
    array = source.content
    samples = array.detach().cpu().numpy() if isinstance(array, Tensor) else np.moveaxis(_with_channels(array), -1, 0)
    return _scaled(samples, source.id, white)


def _with_channels(array: NDArray[Any]) -> NDArray[Any]:
    return array[:, :, None] if array.ndim == 2 else array


def _scaled(samples: NDArray[Any], name: str, white: float | None) -> Tensor:
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
        grey_or_rgb = torch.from_numpy(np.array(samples))
    else:
        grey_or_rgb = torch.from_numpy(samples.astype(np.float32) / np.float32(full))
        if not ((grey_or_rgb >= 0) & (grey_or_rgb <= 1)).all():
            raise BadImage(f"{name} has samples outside 0 to {full:g}: scale them, or say what is white by --white")
    return grey_or_rgb.expand(3, -1, -1).contiguous(memory_format=torch.contiguous_format)
