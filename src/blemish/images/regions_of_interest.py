"""What part of a picture is inspected: a rectangle, a mask, and the way back to a map of the whole picture."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from blemish.errors import BadImage, BadInput
from blemish.images.masks import fill


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
        scores = interpolate(scores[None, None], size=inside.shape, mode="bilinear", align_corners=False)[0, 0]
    inside.copy_(scores)
    if mask is not None and mask.shape != whole.shape:
        raise BadInput(f"the mask is {tuple(mask.shape)}, the picture {tuple(size)}: give both one size")
    return whole if mask is None else whole.masked_fill_(~mask, torch.nan)


def _refuse_misfit(path: str | Path, size: tuple[int, ...], region: Region | None, mask: Tensor | None) -> None:
    of = f"{path} of {size[1]} x {size[0]}"
    if region is not None and not region.fits(*size):
        raise BadImage(f"{of}: the region {region} is not inside it: make it smaller, or leave this picture out")
    if mask is not None and mask.shape != size:
        raise BadImage(f"{of}: the mask is {mask.shape[1]} x {mask.shape[0]}: draw the mask on a picture of this size")
    if mask is not None and not (mask if region is None else crop(mask, region)).any():
        raise BadImage(f"{of}: the mask leaves nothing to inspect: paint white what to inspect inside the region")
