"""Random and regular planes of (side, side) pixels that materials, parts and flaws are built from.

Wavelengths and amounts are in pixels, angles in radians from the x axis towards the y axis (downwards).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from blemish.synth.drawn.scene import Plane

BICUBIC_LOSS = 0.78  # deviation that is left of a lattice of white noise after it was enlarged


class Voronoi(NamedTuple):
    """A Voronoi division of the plane into cells about one wavelength wide."""

    distance: Plane  # to the centre of the own cell, pixels
    edge: Plane  # to the nearest border, pixels
    ids: NDArray[np.intp]  # which cell, 0 .. total - 1, for looking up what differs
    total: int


def coordinates(side: int) -> tuple[Plane, Plane]:
    """x to the right and y downwards, 0 .. side - 1."""
    y, x = np.mgrid[:side, :side].astype(np.float32)
    return x, y


def axes_along(side: int, angle: float) -> tuple[Plane, Plane]:
    """Coordinates along and across a direction, from the picture's middle."""
    x, y = coordinates(side)
    x, y = x - (side - 1) / 2, y - (side - 1) / 2
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    return x * cos + y * sin, y * cos - x * sin


def white_noise(rng: np.random.Generator, side: int) -> Plane:
    """Independent normal values, unit deviation."""
    return rng.standard_normal((side, side), dtype=np.float32)


def grain_noise(rng: np.random.Generator, side: int, size: float) -> Plane:
    """Isotropic grain about `size` pixels wide with finer grain on it, unit deviation."""
    noise = white_noise(rng, side)
    sigma = size * 0.35
    soft = blur(noise, sigma) * (2 * np.sqrt(np.pi) * sigma if sigma > 0.3 else 1)
    return standard(soft + rng.uniform(0, 0.5) * noise)


def smooth_noise(rng: np.random.Generator, side: int, wavelength: float) -> Plane:
    """Noise without detail below a wavelength, zero mean and about unit deviation."""
    return _lattice_noise(rng, side, wavelength, wavelength)


def stretched_noise(rng: np.random.Generator, side: int, wavelength: float, stretch: float, angle: float) -> Plane:
    """Smooth noise that is `stretch` times as long along `angle` as across it."""
    return _at_angle(_lattice_noise(rng, _roomy(side, angle), wavelength * stretch, wavelength), side, angle)


def fractal_noise(
    rng: np.random.Generator,
    side: int,
    wavelength: float,
    *,
    octaves: int = 4,
    gain: float = 0.5,
    stretch: float = 1.0,
    angle: float = 0.0,
) -> Plane:
    """Fractional Brownian motion: octaves from `wavelength` down, each `gain` times as strong; about unit deviation."""
    room = side if stretch == 1 else _roomy(side, angle)
    octaves = max(1, min(octaves, int(np.log2(max(wavelength, 2.0))) + 1))
    weights = gain ** np.arange(octaves)
    weights = weights / np.sqrt((weights**2).sum())
    total = np.zeros((room, room), np.float32)
    for octave, weight in enumerate(weights.tolist()):
        across = wavelength / 2**octave
        total += weight * _lattice_noise(rng, room, across * stretch, across)
    return total if stretch == 1 else _at_angle(total, side, angle)


def ridged_noise(
    rng: np.random.Generator,
    side: int,
    wavelength: float,
    *,
    octaves: int = 3,
    stretch: float = 1.0,
    angle: float = 0.0,
) -> Plane:
    """Sharp crests at 1 that fall off towards 0: where fractal noise crosses zero."""
    noise = fractal_noise(rng, side, wavelength, octaves=octaves, stretch=stretch, angle=angle)
    crests: Plane = np.maximum(1 - np.abs(noise), np.float32(0))
    return crests


def voronoi(
    rng: np.random.Generator,
    side: int,
    wavelength: float,
    *,
    jitter: float = 0.9,
    stretch: float = 1.0,
    angle: float = 0.0,
    bend: float = 0.0,
) -> Voronoi:
    """Voronoi cells of a jittered lattice (0 squares .. 1 random), their borders bent by up to `bend` pixels."""
    wavelength = max(wavelength, 1.5)
    x, y = axes_along(side, angle)
    if bend:
        x = x + bend * smooth_noise(rng, side, wavelength / 2)
        y = y + bend * smooth_noise(rng, side, wavelength / 2)
    x, y = x / (wavelength * stretch), y / wavelength
    x, y = x - x.min() + np.float32(2), y - y.min() + np.float32(2)
    wide, high = int(x.max()) + 3, int(y.max()) + 3
    centres = rng.random((high, wide, 2), dtype=np.float32) * jitter + (1 - jitter) / 2
    first, second, gap, ids = _two_nearest(x, y, centres)
    scale = np.float32(wavelength)
    return Voronoi(np.sqrt(first) * scale, (second - first) / (2 * gap) * scale, ids, high * wide)


def warp(plane: Plane, rng: np.random.Generator, amount: float, wavelength: float) -> Plane:
    """A plane whose points are moved by smooth noise of about `amount` pixels."""
    side = len(plane)
    x, y = coordinates(side)
    x += amount * smooth_noise(rng, side, wavelength)
    y += amount * smooth_noise(rng, side, wavelength)
    moved: Plane = ndimage.map_coordinates(plane, [y, x], order=1, mode="mirror")
    return moved


def blur(plane: Plane, sigma: float) -> Plane:
    """Gaussian blur of a plane (H, W), or of each colour of (H, W, 3)."""
    if sigma < 0.15:
        return plane
    soft: Plane = ndimage.gaussian_filter(plane, sigma, axes=(0, 1), truncate=3.0, mode="nearest")
    return soft


def band_noise(rng: np.random.Generator, side: int, wavelength: float, width: float = 0.3) -> Plane:
    """Noise of nearly one wavelength in all directions (orange peel, ripples), unit deviation."""
    y, x = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]
    frequency = np.hypot(x, y) * wavelength
    passed = np.fft.rfft2(white_noise(rng, side)) * np.exp(-(((frequency - 1) / width) ** 2))
    return standard(np.fft.irfft2(passed, (side, side)).astype(np.float32))


def stripes(rng: np.random.Generator, side: int, pitch: float, angle: float) -> Plane:
    """Cosine waves whose crests run along `angle`, -1 .. 1."""
    _, across = axes_along(side, angle)
    waves: Plane = np.cos(across * (2 * np.pi / pitch) + rng.uniform(0, 2 * np.pi))
    return waves


def standard(plane: Plane) -> Plane:
    """Shifted and scaled to zero mean and unit deviation."""
    centred: Plane = (plane - plane.mean()) / max(float(plane.std()), 1e-6)
    return centred


def step(plane: Plane, low: float, high: float) -> Plane:
    """Smoothstep: 0 below `low`, 1 above `high`, rising without a corner."""
    t: Plane = np.clip((plane - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _lattice_noise(rng: np.random.Generator, side: int, along: float, across: float) -> Plane:
    """Normal values on a lattice of `along` x `across` pixels, enlarged from a random offset."""
    along, across = max(along, 1.0), max(across, 1.0)
    wide, high = int(side / along) + 4, int(side / across) + 4
    values = Image.fromarray(rng.standard_normal((high, wide), dtype=np.float32))
    left, top = rng.random(2) + 1
    box = (float(left), float(top), float(left + side / along), float(top + side / across))
    loss = (BICUBIC_LOSS if along > 1 else 1) ** 0.5 * (BICUBIC_LOSS if across > 1 else 1) ** 0.5
    return np.asarray(values.resize((side, side), Image.Resampling.BICUBIC, box), np.float32) / np.float32(loss)


def _roomy(side: int, angle: float) -> int:
    """Side of a square that still covers the picture after turning."""
    return int(np.ceil(side * (abs(np.cos(angle)) + abs(np.sin(angle))))) + 2


def _at_angle(plane: Plane, side: int, angle: float) -> Plane:
    """The middle of a plane whose x axis is turned to `angle`."""
    cos, sin, middle = float(np.cos(angle)), float(np.sin(angle)), len(plane) / 2
    start_x = middle - side / 2 * (cos + sin)
    start_y = middle - side / 2 * (cos - sin)
    moved = Image.fromarray(plane).transform(
        (side, side), Image.Transform.AFFINE, (cos, sin, start_x, -sin, cos, start_y), Image.Resampling.BICUBIC
    )
    return np.asarray(moved, np.float32)


def _two_nearest(x: Plane, y: Plane, centres: NDArray[np.float32]) -> tuple[Plane, Plane, Plane, NDArray[np.intp]]:
    """Squared distances to the nearest two centres, how far those are apart, and the nearest one's number.

    A centre lies in its own square of the lattice, so that the squares around a point hold its nearest.
    """
    wide = centres.shape[1]
    column, row = x.astype(np.int32), y.astype(np.int32)
    start = row * wide + column
    x, y = x - np.floor(x), y - np.floor(y)
    flat_x, flat_y = np.ascontiguousarray(centres[..., 0]).ravel(), np.ascontiguousarray(centres[..., 1]).ravel()
    first = np.full(x.shape, np.inf, np.float32)
    second, chosen, runner_up = first.copy(), start.copy(), start.copy()
    for dy, dx in ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)):
        number = start + (dy * wide + dx)
        square = (flat_x.take(number) + (dx - x)) ** 2 + (flat_y.take(number) + (dy - y)) ** 2
        closer, close = square < first, square < second
        runner_up = np.where(closer, chosen, np.where(close, number, runner_up))
        second = np.minimum(np.maximum(square, first), second)
        chosen = np.where(closer, number, chosen)
        first = np.minimum(square, first)
    gap_x = flat_x.take(chosen) - flat_x.take(runner_up) + (chosen % wide - runner_up % wide)
    gap_y = flat_y.take(chosen) - flat_y.take(runner_up) + (chosen // wide - runner_up // wide)
    gap = np.maximum(np.hypot(gap_x, gap_y), 1e-3).astype(np.float32)
    return first, second, gap, chosen.astype(np.intp)
