"""Lettering, as printed, engraved or embossed on parts."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from blemish.synth.drawn.outlines import Frame
from blemish.synth.drawn.scene import Plane

DIGITS = "0123456789"
CAPITALS = "ABCDEFGHKLMNPRSTUVXYZ"
_SIZE = 40


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=_SIZE)


@cache
def glyph(letter: str) -> tuple[Plane, float]:
    """A letter's ink, 0 to 1, in a picture as high as a line, and its advance in line heights."""
    font = _font()
    width = max(round(font.getlength(letter)), 2)
    picture = Image.new("L", (width + 4, _SIZE + 8))
    ImageDraw.Draw(picture).text((2, -2), letter, fill=255, font=font)
    return np.asarray(picture, np.float32) / np.float32(255), width / _SIZE


def word(rng: np.random.Generator, *, least: int = 2, most: int = 6) -> str:
    """Capitals and digits as on a type plate."""
    count = int(rng.integers(least, most + 1))
    letters = DIGITS if rng.random() < 0.5 else CAPITALS if rng.random() < 0.6 else DIGITS + CAPITALS
    return "".join(letters[int(rng.integers(len(letters)))] for _ in range(count))


def starts(text: str, size: float) -> list[float]:
    """Middle of each letter along a centred line whose letters are `size` high."""
    advances = np.array([glyph(letter)[1] for letter in text]) * size
    ends = np.cumsum(advances) - advances.sum() / 2
    middles: list[float] = (ends - advances / 2).tolist()
    return middles


def letter_ink(at: Frame, letter: str, size: float) -> Plane:
    """The ink of one letter, `size` units high, about the frame's origin."""
    ink, _ = glyph(letter)
    high, wide = ink.shape
    zoom = np.float32(_SIZE / size)
    share = np.zeros(at.x.shape, np.float32)
    near = (np.abs(at.x) < size) & (np.abs(at.y) < size)
    rows, columns = at.y[near] * zoom + (high - 1) / 2, at.x[near] * zoom + (wide - 1) / 2
    share[near] = ndimage.map_coordinates(_softened(letter, size * at.scale), [rows, columns], order=1, cval=0.0)
    return share


@cache
def _softened_to(letter: str, sigma: float) -> Plane:
    softened: Plane = ndimage.gaussian_filter(glyph(letter)[0], sigma)
    return softened


def _softened(letter: str, pixels: float) -> Plane:
    """The glyph blurred so that it can be read at `pixels` high without steps."""
    return _softened_to(letter, round(max(0.35 * _SIZE / max(pixels, 1) - 0.3, 0), 1))


def line(at: Frame, text: str, size: float) -> list[Plane]:
    """The ink of each letter of a line centred on the frame's origin, `size` units high, written along x."""
    return [
        letter_ink(at.at(middle, 0.0), letter, size) for letter, middle in zip(text, starts(text, size), strict=True)
    ]


def arc(at: Frame, text: str, size: float, reach: float, start: float = 0.0) -> list[Plane]:
    """The ink of each letter of a line that runs around the origin at distance `reach`, readable from inside."""
    angles = [start + middle / reach for middle in starts(text, size)]
    return [
        letter_ink(at.turned(angle).at(0.0, -reach), letter, size) for letter, angle in zip(text, angles, strict=True)
    ]
