"""Masks: True, or white in a picture, where a picture is to be inspected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.errors import BadImage, BadInput
from blemish.images.reading import MAX_PIXELS, read, unit


def read_region_mask(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.bool_]:
    """bool (H, W): True, inspect, where the picture is at least half white; BadImage if that is nowhere."""
    mask: NDArray[np.bool_] = unit(read(path, max_pixels=max_pixels)).mean(0) >= 0.5
    if not mask.any():
        raise BadImage(f"{path} is black everywhere, so nothing would be inspected: paint white what to inspect")
    return mask


def fill(image: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[Any]:
    """(C, H, W) with the pixels outside the (H, W) mask in the mean colour of those inside, which raises no score."""
    if mask.shape != image.shape[-2:]:
        raise BadInput(f"the mask is {tuple(mask.shape)}, the picture {tuple(image.shape[-2:])}: give both one size")
    if not mask.any():
        raise BadInput("the mask has no pixel to inspect here: True (white) is where to inspect")
    colour = (unit(image) * mask).sum((1, 2), dtype=np.float64) / mask.sum()
    colour = (colour * 255).round() if image.dtype == np.uint8 else colour
    return np.where(mask, image, colour.astype(image.dtype)[:, None, None])
