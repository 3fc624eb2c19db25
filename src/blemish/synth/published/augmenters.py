"""Strong changes of a texture's colours, before it is blended in as an anomaly (Zavrtanik et al., arXiv:2108.07610).

Strengths that neither paper nor notes state (sharpness 0 to 3, 1 to 8 bits a channel) are those usual for pictures.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps
from scipy import ndimage

from blemish.synth.drawn.scene import Colours

Pixels = NDArray[np.uint8]  # (H, W, 3)
Augmenter = Callable[[Pixels, np.random.Generator], Pixels]


def gamma_contrast(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """A power of 0.5 to 2, another for each channel."""
    return _rounded(255 * (pixels / 255) ** rng.uniform(0.5, 2, 3))


def brightness(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Times 0.8 to 1.2 and -30 to 30 levels more."""
    return _rounded(pixels * rng.uniform(0.8, 1.2) + rng.uniform(-30, 30))


def sharpness(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """From blurred (0) over unchanged (1) to sharpened (3)."""
    return np.asarray(ImageEnhance.Sharpness(Image.fromarray(pixels)).enhance(rng.uniform(0, 3)))


def hue_and_saturation(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Up to 50 of 255 levels more or less of either; hue goes round."""
    hue, saturation = rng.integers(-50, 51, 2).tolist()
    levels = np.asarray(Image.fromarray(pixels).convert("HSV")).astype(int)
    levels[..., 0] = (levels[..., 0] + hue) % 256
    levels[..., 1] = np.clip(levels[..., 1] + saturation, 0, 255)
    return np.asarray(Image.fromarray(levels.astype(np.uint8), "HSV").convert("RGB"))


def solarize(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Every second time, what is brighter than a level of 32 to 128 is inverted."""
    if rng.random() >= 0.5:
        return pixels
    return np.asarray(ImageOps.solarize(Image.fromarray(pixels), int(rng.integers(32, 129))))


def posterize(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """1 to 8 bits a channel."""
    return np.asarray(ImageOps.posterize(Image.fromarray(pixels), int(rng.integers(1, 9))))


def invert(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """The negative."""
    return 255 - pixels


def autocontrast(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Each channel stretched to all levels."""
    return np.asarray(ImageOps.autocontrast(Image.fromarray(pixels)))


def equalize(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Each channel's levels equally frequent."""
    return np.asarray(ImageOps.equalize(Image.fromarray(pixels)))


def rotation(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Up to 45 degrees either way; black corners."""
    turned: Pixels = ndimage.rotate(pixels, rng.uniform(-45, 45), reshape=False, order=1)
    return turned


AUGMENTERS: tuple[Augmenter, ...] = (
    gamma_contrast,
    brightness,
    sharpness,
    hue_and_saturation,
    solarize,
    posterize,
    invert,
    autocontrast,
    equalize,
    rotation,
)


def augment(texture: Colours, rng: np.random.Generator, *, count: int = 3) -> Colours:
    """The texture after `count` distinct augmenters in random order, (H, W, 3) in [0, 1]."""
    pixels = _rounded(texture * 255)
    for chosen in rng.choice(len(AUGMENTERS), count, replace=False).tolist():
        pixels = AUGMENTERS[chosen](pixels, rng)
    return pixels.astype(np.float32) / np.float32(255)


def _rounded(levels: NDArray[np.floating]) -> Pixels:
    return np.clip(np.round(levels), 0, 255).astype(np.uint8)
