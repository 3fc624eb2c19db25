"""Colours, chances and sheets: the small words in which materials are written."""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.synth.drawn.fields import fractal_noise, white_noise
from blemish.synth.drawn.scene import Colours, Plane, Surface

Colour = NDArray[np.float32]  # (3,)
Real = NDArray[np.floating[Any]]
Span = tuple[float, float]
COMMON_HUES = (0.0, 0.02, 0.07, 0.12, 0.15, 0.3, 0.38, 0.55, 0.6, 0.63, 0.66)  # red to yellow, green, blue


def between(rng: np.random.Generator, span: Span) -> float:
    """A number between two others, each equally likely."""
    return float(rng.uniform(*span))


def scale(rng: np.random.Generator, low: float, high: float) -> float:
    """A positive number, each ratio equally likely, as sizes and contrasts are spread."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def chance(rng: np.random.Generator, probability: float) -> bool:
    """True as often as `probability`."""
    return bool(rng.random() < probability)


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """A colour from hue (any number, in turns), saturation and value (0 .. 1)."""
    return np.array(colorsys.hsv_to_rgb(hue % 1, min(max(saturation, 0), 1), min(max(value, 0), 1)), np.float32)


def colour(rng: np.random.Generator, hue: Span, saturation: Span, value: Span) -> Colour:
    """A colour with each of hue, saturation and value in a span."""
    return hsv(between(rng, hue), between(rng, saturation), between(rng, value))


def grey(rng: np.random.Generator, low: float, high: float) -> Colour:
    """A grey, at times with a slight warm or cold tint."""
    return colour(rng, (0.06, 0.13) if chance(rng, 0.5) else (0.53, 0.64), (0.0, 0.07), (low, high))


def paint(rng: np.random.Generator) -> Colour:
    """The colour of a thing people made: black, white, grey, pale, deep or loud."""
    kind = rng.integers(7)
    if kind <= 1:
        return grey(rng, 0.08, 0.35)
    if kind <= 3:
        return grey(rng, 0.3, 0.95)
    if kind == 4:
        return colour(rng, (0.0, 1.0), (0.05, 0.35), (0.55, 0.95))
    hue = float(rng.choice(COMMON_HUES)) + between(rng, (-0.03, 0.03)) if chance(rng, 0.8) else rng.random()
    return hsv(hue, between(rng, (0.3, 0.9)), between(rng, (0.12, 0.45) if kind == 5 else (0.5, 0.9)))


def near(rng: np.random.Generator, base: Colour, spread: float) -> Colour:
    """A colour like another: brightness and tint within about `spread`."""
    return np.clip(base * (1 + spread * rng.normal()) + 0.3 * spread * rng.normal(size=3), 0, 1).astype(np.float32)


def mix(first: NDArray[np.float32], second: NDArray[np.float32], weight: Plane) -> Colours:
    """`first` where the weight is 0, `second` where it is 1; colours or sheets of colour."""
    return first + (second - first) * weight[..., None]


def vary(base: NDArray[np.float32], change: Real) -> Colours:
    """A colour brightened by a plane of relative changes: 0.1 is a tenth brighter."""
    return base * (1 + change.astype(np.float32, copy=False))[..., None]


def slab(albedo: Real, height: Real, gloss: Real | float) -> Surface:
    """A surface from what may lie a little out of range."""
    return Surface(
        np.clip(albedo, 0, 1).astype(np.float32),
        height.astype(np.float32),
        np.clip(np.broadcast_to(np.asarray(gloss, np.float32), height.shape), 0, 1).astype(np.float32),
    )


def uneven(rng: np.random.Generator, surface: Surface, amount: float) -> Surface:
    """A surface with the faint clouds, grain and waviness that any real sheet has, of relative strength `amount`."""
    side = len(surface.height)
    clouds = fractal_noise(rng, side, side * scale(rng, 0.2, 1.0), octaves=3, gain=0.5)
    grain = white_noise(rng, side) * between(rng, (0.0, 0.4))
    surface.albedo = np.clip(surface.albedo * (1 + amount * (clouds + grain))[..., None], 0, 1)
    surface.height = surface.height + amount * between(rng, (0.0, 0.15)) * side * 0.1 * clouds
    return surface
