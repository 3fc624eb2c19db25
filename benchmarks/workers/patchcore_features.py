"""Patch features such as a network gives: few latent directions, smooth over the picture, and some noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

SIDE, WIDTH, LATENT = 28, 1024, 32


def features(pictures: int, *, seed: int) -> NDArray[np.float32]:
    """(pictures * 28 * 28, 1024), what PatchCore sees of 224 px pictures; all seeds share one set of directions."""
    random = np.random.default_rng(seed)
    directions = np.random.default_rng(0).standard_normal((LATENT, WIDTH), np.float32)
    rows = np.empty((pictures, SIDE * SIDE, WIDTH), np.float32)
    for row in rows:
        latent = ndimage.gaussian_filter(random.standard_normal((SIDE, SIDE, LATENT), np.float32), (2, 2, 0))
        row[:] = np.tanh(latent.reshape(-1, LATENT) @ directions)
        row += 0.1 * random.standard_normal(row.shape, np.float32)
    return rows.reshape(-1, WIDTH)
