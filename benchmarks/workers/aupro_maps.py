"""Maps and masks for AUPRO: noise, smooth, higher on defects; every second picture has two."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pictures import spot
from scipy import ndimage


def maps_and_masks(count: int, side: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """(count, side, side) scores and their defects."""
    random = np.random.default_rng(0)
    masks = np.zeros((count, side, side), bool)
    for mask in masks[::2]:
        mask |= spot(random, side) | spot(random, side)
    noise = random.standard_normal((count, side, side), np.float32)
    maps = [ndimage.gaussian_filter(n + np.float32(0.5) * m, 4) for n, m in zip(noise, masks, strict=True)]
    return np.stack(maps), masks
