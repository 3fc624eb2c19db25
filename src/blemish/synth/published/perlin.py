"""Perlin noise and the masks cut from it.

Perlin, "Improving Noise", SIGGRAPH 2002, as used for masks in Zavrtanik, Kristan, Skocaj, "DRAEM - A discriminatively
trained reconstruction embedding for surface anomaly detection", ICCV 2021, arXiv:2108.07610.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from blemish.synth.drawn.scene import Mask, Plane

Planes = NDArray[np.float64]


def fade(step: Planes) -> Planes:
    """6t^5 - 15t^4 + 10t^3: first and second derivative vanish at 0 and 1."""
    return step**3 * (step * (step * 6 - 15) + 10)


def perlin_noise(rng: np.random.Generator, height: int, width: int, cells: tuple[int, int]) -> Plane:
    """One octave with so many lattice cells (down, across) to the picture, times sqrt 2: about -1 to 1, (H, W)."""
    down, across = cells
    angles = rng.uniform(0, 2 * np.pi, (down + 1, across + 1))
    rows, columns = np.arange(height) * down / height, np.arange(width) * across / width
    top, left = rows.astype(int), columns.astype(int)
    y, x = (rows - top)[:, None], (columns - left)[None, :]

    def slope(below: int, right: int) -> Planes:
        corner = angles[top + below][:, left + right]
        ramp: Planes = np.cos(corner) * (x - right) + np.sin(corner) * (y - below)
        return ramp

    upper = slope(0, 0) + fade(x) * (slope(0, 1) - slope(0, 0))
    lower = slope(1, 0) + fade(x) * (slope(1, 1) - slope(1, 0))
    noise: Plane = (np.sqrt(2) * (upper + fade(y) * (lower - upper))).astype(np.float32)
    return noise


def random_perlin_noise(
    rng: np.random.Generator, height: int, width: int, *, exponents: tuple[int, int] = (0, 5)
) -> Plane:
    """One octave whose numbers of cells down and across are powers of two, each drawn on its own; both ends count."""
    low, high = exponents
    down, across = (2 ** rng.integers(low, high + 1, 2)).tolist()
    return perlin_noise(rng, height, width, (down, across))


def perlin_mask(
    rng: np.random.Generator,
    height: int,
    width: int,
    *,
    threshold: float = 0.5,
    exponents: tuple[int, int] = (0, 5),
    rotation: float = 90.0,
) -> Mask:
    """Where noise turned by up to `rotation` degrees exceeds `threshold`; it can be empty."""
    noise = random_perlin_noise(rng, height, width, exponents=exponents)
    turned: Plane = ndimage.rotate(noise, rng.uniform(-rotation, rotation), reshape=False, order=1)
    return turned > threshold
