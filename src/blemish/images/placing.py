"""Maps at another size, and back where they lie in the whole picture."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.errors import BadInput
from blemish.images.framing import Region, crop, placement, scale
from blemish.types import Geometry


def place(
    anomaly_map: NDArray[Any],
    size: tuple[int, int],
    *,
    region: Region | None = None,
    mask: NDArray[np.bool_] | None = None,
) -> NDArray[Any]:
    """The map (h, w) of a region as a map of the whole picture, float32 of `size` (H, W); NaN is "not inspected".

    The map is stretched bilinearly to the region, or to the picture if there is none; the bool mask is of `size`.
    """
    target = region or Region(0, 0, size[1], size[0])
    whole = np.full(size, np.nan, np.float32)
    inside = crop(whole, target)
    if anomaly_map.shape == inside.shape:
        inside[:] = anomaly_map
    else:
        scale(anomaly_map, (target.height, target.width), linear, out=inside)
    if mask is not None and mask.shape != whole.shape:
        raise BadInput(f"the mask is {tuple(mask.shape)}, the picture {tuple(size)}: give both one size")
    if mask is not None:
        whole[~mask] = np.nan
    return whole


def matching_regions(shape: Geometry, height: int, width: int) -> tuple[Region, Region]:
    """Which part of the input is picture and no padding, and which part of a picture of that size it shows."""
    (high, wide), (y, x, rows, columns) = placement(shape, height, width)
    inside = Region(max(-x, 0), max(-y, 0), min(columns, wide), min(rows, high))
    left, top = round(max(x, 0) * width / wide), round(max(y, 0) * height / high)
    right, bottom = round(min(x + columns, wide) * width / wide), round(min(y + rows, high) * height / high)
    return inside, Region(left, top, max(right - left, 1), max(bottom - top, 1))


def linear(length: int, target: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Between two neighbours, a `Kernel` that is never widened."""
    at = np.maximum(length / target * (np.arange(target) + 0.5) - 0.5, 0)
    first = np.minimum(at.astype(np.int64), length - 1)
    share = (at - first).astype(np.float32)
    return first, np.stack([1 - share, share], 1)


def area(length: int, target: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The mean of what each number covers, a `Kernel`."""
    numbers = np.arange(target)
    first, last = numbers * length // target, -(-(numbers + 1) * length // target)
    inside = first[:, None] + np.arange((last - first).max()) < last[:, None]
    return first, (inside / (last - first)[:, None]).astype(np.float32)


def nearest(values: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """(..., h, w) of (..., H, W): each the one in whose pixel its middle lies."""
    rows, columns = (
        ((np.arange(target, dtype=np.float32) + 0.5) * np.float32(length / target)).astype(np.int64)
        for length, target in zip(values.shape[-2:], size, strict=True)
    )
    return np.asarray(values[..., rows, :][..., columns])
