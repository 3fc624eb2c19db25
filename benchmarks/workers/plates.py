"""Good brushed metal plates for `coverage`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

SIDE = 256


def plate(rng: np.random.Generator) -> Image.Image:
    """A brushed plate with a bored hole, under light that varies a little from picture to picture."""
    streaks = rng.normal(0, 1, (SIDE, 16)).repeat(SIDE // 16, axis=1) * 5 + rng.normal(0, 3, (SIDE, SIDE))
    slope = np.linspace(-1, 1, SIDE) * rng.uniform(6, 12)
    grey: NDArray[np.float64] = 150 + rng.uniform(-6, 6) + streaks + slope[:, None]
    picture = Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).convert("RGB")
    draw = ImageDraw.Draw(picture)
    draw.ellipse((104, 104, 152, 152), fill=(36, 36, 40), outline=(196, 196, 198), width=3)
    return picture.filter(ImageFilter.GaussianBlur(0.7))
