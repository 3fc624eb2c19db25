"""Generated parts: a textured plate, with or without a scratch or a stain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def texture(random: np.random.Generator, side: int) -> NDArray[np.float32]:
    """(side, side, 3) in [0, 1]: a smooth shade under fine grain."""
    shade = ndimage.gaussian_filter(random.standard_normal((side, side, 3)), (side / 12, side / 12, 0))
    grain = ndimage.gaussian_filter(random.standard_normal((side, side, 1)), (1, 3, 0))
    plate = 0.55 + 0.1 * shade / shade.std() + 0.05 * grain / grain.std()
    return plate.clip(0, 1).astype(np.float32)


def spot(random: np.random.Generator, side: int) -> NDArray[np.bool_]:
    """(side, side) True in a turned ellipse somewhere inside."""
    y, x = np.mgrid[:side, :side] - random.uniform(0.25, 0.75, (2, 1, 1)) * side
    angle, long, short = random.uniform(0, np.pi), random.uniform(0.05, 0.2) * side, random.uniform(0.01, 0.05) * side
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    return np.asarray((along / long) ** 2 + (across / short) ** 2 < 1)


def defective(random: np.random.Generator, side: int) -> NDArray[np.float32]:
    """A texture with one spot of another shade."""
    plate = texture(random, side)
    plate[spot(random, side)] *= random.uniform(0.3, 0.8)
    return plate
