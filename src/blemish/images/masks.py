"""Masks: True, or white in a picture, where a picture is to be inspected."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from blemish.errors import BadImage, BadInput
from blemish.images.reading import MAX_PIXELS, read, unit


def read_region_mask(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Tensor:
    """bool (H, W): True, inspect, where the picture is at least half white; BadImage if that is nowhere."""
    mask = unit(read(path, max_pixels=max_pixels)).mean(0) >= 0.5
    if not mask.any():
        raise BadImage(f"{path} is black everywhere, so nothing would be inspected: paint white what to inspect")
    return mask


def fill(image: Tensor, mask: Tensor) -> Tensor:
    """(C, H, W) with the pixels outside the (H, W) mask in the mean colour of those inside, which raises no score."""
    if mask.shape != image.shape[-2:]:
        raise BadInput(f"the mask is {tuple(mask.shape)}, the picture {tuple(image.shape[-2:])}: give both one size")
    if not mask.any():
        raise BadInput("the mask has no pixel to inspect here: True (white) is where to inspect")
    colour = (unit(image) * mask).sum((1, 2), dtype=torch.float64) / mask.sum()
    colour = (colour * 255).round() if image.dtype == torch.uint8 else colour
    return torch.where(mask, image, colour.to(image.dtype)[:, None, None])
