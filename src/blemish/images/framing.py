"""What part of a picture a detector is given, and how it lies there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blemish.errors import BadImage, BadInput
from blemish.images.masks import fill
from blemish.images.reading import unit
from blemish.types import Geometry

Kernel = Callable[[int, int], "tuple[NDArray[np.int64], NDArray[np.float32]]"]
"""Of a side of some length at another length: where the weights of each number begin (h,), and the weights (h, K)."""
_ROOM = 1 << 16
"""Numbers of a source that become floats at once: what a processor keeps near it."""


class Region(NamedTuple):
    """A rectangle in pixels of the upright picture; (x, y) is its top left corner."""

    x: int
    y: int
    width: int
    height: int

    def fits(self, height: int, width: int) -> bool:
        """True if it has an area and lies inside a picture of (height, width)."""
        x, y = self.x + self.width, self.y + self.height
        return min(self.x, self.y) >= 0 and min(self.width, self.height) > 0 and x <= width and y <= height

    def __str__(self) -> str:
        return f"{self.width} x {self.height} at ({self.x}, {self.y})"


def crop(image: NDArray[Any], region: Region) -> NDArray[Any]:
    """The region of (..., H, W), a view."""
    height, width = image.shape[-2:]
    if not region.fits(height, width):
        raise BadInput(f"the region {region} does not lie inside a picture of {width} x {height}: make it smaller")
    return image[..., region.y : region.y + region.height, region.x : region.x + region.width]


def visible(
    path: str | Path, image: NDArray[Any], *, region: Region | None = None, mask: NDArray[np.bool_] | None = None
) -> NDArray[Any]:
    """The region of the picture (3, H, W) called `path`, blank where the bool mask (H, W) of the whole is False.

    BadImage, not BadInput, when they do not fit: among many pictures, one of another size is that picture's fault.
    """
    _refuse_misfit(path, tuple(image.shape[-2:]), region, mask)
    part = image if region is None else crop(image, region)
    if mask is None:
        return part
    return fill(part, mask if region is None else crop(mask, region))


def _refuse_misfit(
    path: str | Path, size: tuple[int, ...], region: Region | None, mask: NDArray[np.bool_] | None
) -> None:
    of = f"{path} of {size[1]} x {size[0]}"
    if region is not None and not region.fits(*size):
        raise BadImage(f"{of}: the region {region} is not inside it: make it smaller, or leave this picture out")
    if mask is not None and mask.shape != size:
        raise BadImage(f"{of}: the mask is {mask.shape[1]} x {mask.shape[0]}: draw it so, upright as EXIF says")
    if mask is not None and not (mask if region is None else crop(mask, region)).any():
        raise BadImage(f"{of}: the mask leaves nothing to inspect: paint white what to inspect inside the region")


class Placement(NamedTuple):
    """How a picture lies in a detector's input, in pixels after it was resized."""

    size: tuple[int, int]  # (height, width) of the whole picture
    window: tuple[int, int, int, int]  # (y, x, height, width) of the input; outside of the picture it is padding


def placement(shape: Geometry, height: int, width: int) -> Placement:
    """Where a picture of that size goes."""
    scale = shape.side / (max if shape.pad else min)(height, width)
    keeps = shape.keep_aspect or shape.pad
    stretched = (shape.side / min(shape.aspect, 1), shape.side * max(shape.aspect, 1))
    whole = (height * scale, width * scale) if keeps else stretched
    step = 1 if shape.pad or shape.crop else shape.multiple
    high, wide = (max(1, round(side / step)) * step for side in whole)
    square = shape.crop or (max(1, round(shape.side / shape.multiple)) * shape.multiple if shape.pad else None)
    rows, columns = (square, square) if square else (high, wide)
    return Placement((high, wide), ((high - rows) // 2, (wide - columns) // 2, rows, columns))


def input_size(shape: Geometry, height: int, width: int) -> tuple[int, int]:
    """(height, width) of what a detector is given of a picture of that size: whole multiples, at least one."""
    return placement(shape, height, width).window[2:]


def frame(image: NDArray[Any], shape: Geometry) -> NDArray[Any]:
    """float32 (3, h, w) of a picture (3, H, W): what a detector of that geometry sees; padding repeats the edge."""
    found = placement(shape, *image.shape[-2:])
    resized, (y, x, height, width) = resize(image, found.size), found.window
    if min(y, x) < 0:
        rest = (
            (0, 0),
            (max(-y, 0), max(height + y - found.size[0], 0)),
            (max(-x, 0), max(width + x - found.size[1], 0)),
        )
        resized = np.pad(resized, rest, mode="edge")
    return resized[:, max(y, 0) :, max(x, 0) :][:, :height, :width]


def resize(image: NDArray[Any], size: tuple[int, int]) -> NDArray[np.float32]:
    """float32 (3, h, w) in [0, 1]: bicubic with antialiasing."""
    if image.shape[-2:] == size:
        return unit(image)
    found = scale(image, size, cubic, white=255 if image.dtype == np.uint8 else 1)
    return np.clip(found, 0, 1, out=found)


class _Band(NamedTuple):
    """Some rows of the matrix that scales a side, nearly all zeros, and the part of the side that they reach."""

    rows: slice  # of the result
    reach: slice  # of the source
    weights: NDArray[np.float32]  # (rows, reach)


def scale(
    values: NDArray[Any],
    size: tuple[int, int],
    kernel: Kernel,
    *,
    white: float = 1.0,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """float32 (..., h, w) of numbers (..., H, W), of which `white` becomes 1; into `out` if it is given."""
    found = np.empty((*values.shape[:-2], *size), np.float32) if out is None else out
    high, wide = values.shape[-2:]
    down, across = _bands(kernel, high, size[0]), _bands(kernel, wide, size[1])
    if size[0] <= high:  # the side first that leaves less between
        for source, target in zip(_planes(_shorten(values, down, size[0], white)), _planes(found), strict=True):
            _across(source, across, target)
        return found
    for source, target in zip(_planes(values), _planes(found), strict=True):
        between = np.empty((high, size[1]), np.float32)
        _across(source.astype(np.float32, copy=False), across, between)
        _down(between, down, target, white)
    return found


def _planes(values: NDArray[Any]) -> list[NDArray[Any]]:
    return [values[index] for index in np.ndindex(values.shape[:-2])]


def _shorten(values: NDArray[Any], bands: Sequence[_Band], height: int, white: float) -> NDArray[np.float32]:
    """(..., H, W) -> (..., h, W); channels that lie last in memory are taken along a row."""
    *channels, high, wide = values.shape
    if len(channels) == 1 and values.strides[0] == values.itemsize:
        lines = np.empty((height, wide * channels[0]), np.float32)
        _down(np.moveaxis(values, 0, 2).reshape(high, -1), bands, lines, white)
        return np.ascontiguousarray(np.moveaxis(lines.reshape(height, wide, -1), 2, 0))
    found = np.empty((*channels, height, wide), np.float32)
    for source, target in zip(_planes(values), _planes(found), strict=True):
        _down(source, bands, target, white)
    return found


def _down(source: NDArray[Any], bands: Sequence[_Band], target: NDArray[np.float32], white: float) -> None:
    """(H, W) -> (h, W), some columns at a time."""
    most = max(band.weights.shape[1] for band in bands)
    step = max(256, _ROOM // most)
    room = np.empty(most * min(step, source.shape[1]), np.float32)
    weighed = [(rows, reach, weights / np.float32(white)) for rows, reach, weights in bands]
    for left in range(0, source.shape[1], step):
        columns = slice(left, left + step)
        for rows, reach, weights in weighed:
            part = source[reach, columns]
            floats = room[: part.size].reshape(part.shape)
            np.copyto(floats, part, casting="unsafe")
            np.matmul(weights, floats, out=target[rows, columns])


def _across(source: NDArray[np.float32], bands: Sequence[_Band], target: NDArray[np.float32]) -> None:
    """(H, W) -> (H, w)."""
    for rows, reach, weights in bands:
        np.matmul(source[:, reach], weights.T, out=target[:, rows])


@lru_cache(256)
def _bands(kernel: Kernel, length: int, target: int) -> tuple[_Band, ...]:
    """Of the matrix that makes `target` numbers of a side of `length`."""
    first, taps = kernel(length, target)
    height, reach = 4 if length > 2 * target else 8, np.arange(taps.shape[1])
    found = []
    for start in range(0, target, height):
        rows = slice(start, min(start + height, target))
        at = np.minimum(first[rows, None] + reach, length - 1)
        weights = np.zeros((len(at), int(at.max()) + 1 - at[0, 0]), np.float32)
        np.add.at(weights, (np.arange(len(at))[:, None], at - at[0, 0]), taps[rows])
        found.append(_Band(rows, slice(int(at[0, 0]), int(at.max()) + 1), weights))
    return tuple(found)


def cubic(length: int, target: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Cubic convolution (Keys, 1981), widened where a side shrinks."""
    step = np.float32(length / target)
    widen = max(step, np.float32(1))
    middles = step * (np.arange(target, dtype=np.float32) + np.float32(0.5))
    first = np.maximum((middles - 2 * widen + np.float32(0.5)).astype(np.int64), 0)
    last = np.minimum((middles + 2 * widen + np.float32(0.5)).astype(np.int64), length)
    at = first[:, None] + np.arange((last - first).max())
    x = np.abs((at - middles[:, None] + np.float32(0.5)) / widen)
    near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    weights = np.where(x < 1, near, np.where(x < 2, far, 0)) * (at < last[:, None])
    return first, (weights / weights.sum(1, keepdims=True)).astype(np.float32)
