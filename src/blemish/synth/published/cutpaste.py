"""CutPaste: Self-Supervised Learning for Anomaly Detection and Localization.

Li, Sohn, Yoon, Pfister, CVPR 2021, arXiv:2104.04015. A piece of the image is pasted
elsewhere in it, its colours jittered.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from blemish.synth.drawn.scene import Colours, Mask

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
# Y, I, Q of R, G, B: turning (I, Q) turns the hue and keeps the brightness.
YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]], np.float32)


def cutpaste(
    image: Colours,
    rng: np.random.Generator,
    *,
    area: tuple[float, float] = (0.02, 0.15),
    aspect: tuple[float, float] = (0.3, 3.3),
    jitter: float = 0.1,
) -> tuple[Colours, Mask]:
    """A rectangle of a share `area` of the image, as often upright as lying, pasted wholly inside."""
    height, width, _ = image.shape
    slim, broad = aspect
    ratio = rng.uniform(slim, 1) if rng.random() < 0.5 else rng.uniform(1, broad)
    pixels = rng.uniform(*area) * height * width
    high = min(max(round(np.sqrt(pixels / ratio)), 1), height)
    wide = min(max(round(np.sqrt(pixels * ratio)), 1), width)
    patch = color_jitter(_cut(image, rng, high, wide), rng, strength=jitter)
    return _pasted(image, rng, patch, np.ones((high, wide), bool))


def cutpaste_scar(
    image: Colours,
    rng: np.random.Generator,
    *,
    width: tuple[int, int] = (2, 16),
    length: tuple[int, int] = (10, 25),
    angle: tuple[float, float] = (-45.0, 45.0),
    jitter: float = 0.1,
) -> tuple[Colours, Mask]:
    """A thin strip (pixels of a picture of 256), turned by `angle` degrees before it is pasted wholly inside."""
    high = min(int(rng.integers(length[0], length[1] + 1)), image.shape[0])
    wide = min(int(rng.integers(width[0], width[1] + 1)), image.shape[1])
    patch = color_jitter(_cut(image, rng, high, wide), rng, strength=jitter)
    degrees = rng.uniform(*angle)
    turned = ndimage.rotate(patch, degrees, order=1, mode="nearest")
    inside = ndimage.rotate(np.ones((high, wide), np.float32), degrees, order=1) > 0.5
    rows, columns = (slice(0, min(size, room)) for size, room in zip(inside.shape, image.shape[:2], strict=True))
    return _pasted(image, rng, turned[rows, columns], inside[rows, columns])


def color_jitter(
    colours: Colours, rng: np.random.Generator, *, strength: float = 0.1, hue: float | None = None
) -> Colours:
    """Brightness, contrast and saturation each off by up to `strength` of itself, hue by `hue`, or as much, of a turn.

    Deviation: always in this order, and hue turns in YIQ, where it is linear, instead of HSV.
    """
    light, contrast, saturation = rng.uniform(max(1 - strength, 0), 1 + strength, 3)
    turn = 2 * np.pi * (strength if hue is None else hue) * rng.uniform(-1, 1)
    colours = np.clip(colours * np.float32(light), 0, 1)
    mean = np.float32((colours @ LUMA).mean())
    colours = np.clip(mean + np.float32(contrast) * (colours - mean), 0, 1)
    grey = (colours @ LUMA)[..., None]
    colours = np.clip(grey + np.float32(saturation) * (colours - grey), 0, 1)
    cosine, sine = np.cos(turn), np.sin(turn)
    rotation = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    matrix = np.linalg.inv(YIQ.astype(np.float64)) @ rotation @ YIQ
    found: Colours = np.clip(colours @ matrix.T.astype(np.float32), 0, 1).astype(np.float32)
    return found


def _cut(image: Colours, rng: np.random.Generator, height: int, width: int) -> Colours:
    top = int(rng.integers(image.shape[0] - height + 1))
    left = int(rng.integers(image.shape[1] - width + 1))
    return image[top : top + height, left : left + width]


def _pasted(image: Colours, rng: np.random.Generator, patch: Colours, inside: Mask) -> tuple[Colours, Mask]:
    height, width = inside.shape
    top = int(rng.integers(image.shape[0] - height + 1))
    left = int(rng.integers(image.shape[1] - width + 1))
    window = np.s_[top : top + height, left : left + width]
    pasted, mask = image.copy(), np.zeros(image.shape[:2], bool)
    pasted[window] = np.where(inside[..., None], patch, image[window])
    mask[window] = inside
    return pasted, mask
