"""What part of a picture a detector is given, and how it lies there; and the way back to a map of the whole picture."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish.errors import BadImage, BadInput
from blemish.images.masks import fill
from blemish.images.reading import resize
from blemish.types import Geometry


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


def crop(image: Tensor, region: Region) -> Tensor:
    """The region of (..., H, W), a view."""
    height, width = image.shape[-2:]
    if not region.fits(height, width):
        raise BadInput(f"the region {region} does not lie inside a picture of {width} x {height}: make it smaller")
    return image[..., region.y : region.y + region.height, region.x : region.x + region.width]


def visible(path: str | Path, image: Tensor, *, region: Region | None = None, mask: Tensor | None = None) -> Tensor:
    """The region of the picture (3, H, W) called `path`, blank where the bool mask (H, W) of the whole is False.

    BadImage, not BadInput, when they do not fit: among many pictures, one of another size is that picture's fault.
    """
    _refuse_misfit(path, tuple(image.shape[-2:]), region, mask)
    part = image if region is None else crop(image, region)
    if mask is None:
        return part
    return fill(part, mask if region is None else crop(mask, region))


def place(
    anomaly_map: Tensor, size: tuple[int, int], *, region: Region | None = None, mask: Tensor | None = None
) -> Tensor:
    """The map (h, w) of a region as a map of the whole picture, float32 of `size` (H, W); NaN is "not inspected".

    The map is stretched bilinearly to the region, or to the picture if there is none; the bool mask is of `size`.
    """
    target = region or Region(0, 0, size[1], size[0])
    whole = torch.full(size, torch.nan, device=anomaly_map.device)
    inside = crop(whole, target)
    scores = anomaly_map.float()
    if scores.shape != inside.shape:
        scores = F.interpolate(scores[None, None], size=inside.shape, mode="bilinear", align_corners=False)[0, 0]
    inside.copy_(scores)
    if mask is not None and mask.shape != whole.shape:
        raise BadInput(f"the mask is {tuple(mask.shape)}, the picture {tuple(size)}: give both one size")
    return whole if mask is None else whole.masked_fill_(~mask, torch.nan)


def _refuse_misfit(path: str | Path, size: tuple[int, ...], region: Region | None, mask: Tensor | None) -> None:
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
    longest, shortest = max(height, width), min(height, width)
    scale = shape.side / (longest if shape.pad else shortest)
    keeps = shape.keep_aspect or shape.pad
    whole = (height * scale, width * scale) if keeps else (shape.side, shape.side)
    step = 1 if shape.pad or shape.crop else shape.multiple
    high, wide = (max(1, round(side / step)) * step for side in whole)
    square = shape.crop or (max(1, round(shape.side / shape.multiple)) * shape.multiple if shape.pad else None)
    rows, columns = (square, square) if square else (high, wide)
    return Placement((high, wide), ((high - rows) // 2, (wide - columns) // 2, rows, columns))


def input_size(shape: Geometry, height: int, width: int) -> tuple[int, int]:
    """(height, width) of what a detector is given of a picture of that size: whole multiples, at least one."""
    return placement(shape, height, width).window[2:]


def frame(image: Tensor, shape: Geometry) -> Tensor:
    """float32 (3, h, w) of a picture (3, H, W): what a detector of that geometry sees; padding repeats the edge."""
    found = placement(shape, *image.shape[-2:])
    resized, (y, x, height, width) = resize(image, found.size), found.window
    if min(y, x) < 0:
        rest = (-x, width + x - found.size[1], -y, height + y - found.size[0])
        resized = F.pad(resized[None], rest, mode="replicate")[0]
    return resized[:, max(y, 0) :, max(x, 0) :][:, :height, :width]


def matching_regions(shape: Geometry, height: int, width: int) -> tuple[Region, Region]:
    """Which part of the input is picture and no padding, and which part of a picture of that size it shows."""
    (high, wide), (y, x, rows, columns) = placement(shape, height, width)
    inside = Region(max(-x, 0), max(-y, 0), min(columns, wide), min(rows, high))
    left, top = round(max(x, 0) * width / wide), round(max(y, 0) * height / high)
    right, bottom = round(min(x + columns, wide) * width / wide), round(min(y + rows, high) * height / high)
    return inside, Region(left, top, max(right - left, 1), max(bottom - top, 1))
