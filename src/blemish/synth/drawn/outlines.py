"""Signed distances: negative inside, positive outside, in the units of the frame they are measured in."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Grid = NDArray[np.floating]  # (H, W); float32 wherever speed matters
Numbers = NDArray[np.floating]  # (N, 2) or (N,)
Value = float | Grid


class Frame(NamedTuple):
    """Coordinates laid over a picture: x and y of each pixel (H, W) in units of the part, and pixels to a unit."""

    x: Grid
    y: Grid
    scale: float

    def at(self, x: Value, y: Value, angle: Value = 0.0) -> Frame:
        """The frame whose origin is at (x, y) of this one, turned by `angle` radians; the unit stays the same."""
        across, down = self.x - np.float32(x), self.y - np.float32(y)
        if isinstance(angle, float) and angle == 0:
            return Frame(across, down, self.scale)
        cosine, sine = np.cos(np.float32(angle)), np.sin(np.float32(angle))
        return Frame(across * cosine + down * sine, down * cosine - across * sine, self.scale)

    def turned(self, angle: float) -> Frame:
        """The same origin, turned by `angle` radians."""
        return self.at(0.0, 0.0, angle)


def frame(side: int, unit: float, x: float = 0.0, y: float = 0.0, angle: float = 0.0) -> Frame:
    """A frame over a square picture whose origin is (x, y) half sides off the middle; `unit` in half sides."""
    scale = side / 2 * unit
    steps = (np.arange(side, dtype=np.float32) - (side - 1) / 2) / np.float32(scale)
    across, down = np.meshgrid(steps, steps)
    return Frame(across, down, scale).at(x / unit, y / unit, angle)


def radius(at: Frame) -> Grid:
    """Distance of each pixel from the origin."""
    return np.sqrt(at.x * at.x + at.y * at.y)


def azimuth(at: Frame) -> Grid:
    """Angle of each pixel around the origin, -pi to pi."""
    return np.arctan2(at.y, at.x)


def circle(at: Frame, size: Value) -> Grid:
    """A disc of radius `size`."""
    return radius(at) - np.float32(size)


def ring(at: Frame, inner: float, outer: float) -> Grid:
    """Between two concentric circles."""
    found: Grid = np.abs(radius(at) - np.float32((inner + outer) / 2)) - np.float32((outer - inner) / 2)
    return found


def box(at: Frame, half_width: Value, half_height: Value, corner: Value = 0.0) -> Grid:
    """A rectangle whose corners are rounded with radius `corner`."""
    across = np.abs(at.x) - np.float32(half_width) + np.float32(corner)
    down = np.abs(at.y) - np.float32(half_height) + np.float32(corner)
    beyond_across, beyond_down = np.maximum(across, 0), np.maximum(down, 0)
    outside = np.sqrt(beyond_across * beyond_across + beyond_down * beyond_down)
    found: Grid = outside + np.minimum(np.maximum(across, down), 0) - np.float32(corner)
    return found


def slot(at: Frame, half_length: Value, size: Value) -> Grid:
    """A straight slot along x with round ends of radius `size` beyond +-`half_length`."""
    across = np.maximum(np.abs(at.x) - np.float32(half_length), 0)
    return np.sqrt(across * across + at.y * at.y) - np.float32(size)


def polygon(at: Frame, corners: int, size: float) -> Grid:
    """A regular polygon whose flats are `size` from the middle."""
    sector = 2 * np.pi / corners
    folded = np.mod(azimuth(at) + sector / 2, sector) - sector / 2
    found: Grid = radius(at) * np.cos(folded) - np.float32(size)
    return found


def hull(at: Frame, points: Numbers) -> Grid:
    """A convex polygon by its corners (N, 2), counted so that x turns towards y; near its corners a lower bound."""
    ends = np.roll(points, -1, axis=0)
    normals = np.stack([ends[:, 1] - points[:, 1], points[:, 0] - ends[:, 0]], axis=1)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    sides = [at.x * a + at.y * b - (a * x + b * y) for (a, b), (x, y) in zip(normals, points, strict=True)]
    return _most(sides)


def ellipse(at: Frame, half_width: Value, half_height: Value, power: float = 2.0) -> Grid:
    """A superellipse, nearly a distance: 2 is an ellipse, 4 nearly a box."""
    across, down = np.abs(at.x) / np.float32(half_width), np.abs(at.y) / np.float32(half_height)
    level = (across**power + down**power) ** np.float32(1 / power)
    found: Grid = (level - 1) * np.minimum(np.float32(half_width), np.float32(half_height))
    return found


def teeth(at: Frame, count: int, inner: float, outer: float, share: float = 0.5, slope: float = 0.35) -> Grid:
    """A gear or star: `share` of each step is tooth, `slope` 0 gives square teeth and 1 pointed ones."""
    phase = np.abs(np.mod(azimuth(at) * (count / (2 * np.pi)), 1) - 0.5) * 2
    ramp = max(slope, 0.02)
    rise = np.clip((share - phase) / ramp + 0.5, 0, 1)
    found: Grid = (radius(at) - np.float32(inner) - np.float32(outer - inner) * rise) * np.float32(0.75)
    return found


def thread(at: Frame, half_length: float, size: float, depth: float, pitch: float) -> Grid:
    """A threaded rod along x seen from its side: flanks of one side lie half a turn from those of the other."""
    turn = at.x / np.float32(pitch) + np.where(at.y > 0, np.float32(0.5), np.float32(0))
    flank = np.abs(np.mod(turn, 1) - 0.5) * 2
    side = (np.abs(at.y) - np.float32(size) + np.float32(depth) * flank) * np.float32(0.8)
    found: Grid = np.maximum(side, np.abs(at.x) - np.float32(half_length))
    return found


def path(at: Frame, points: Numbers) -> Grid:
    """Distance from a polyline (N, 2): a wire of no width."""
    return _least([_segment(at, start, end) for start, end in pairwise(points)])


def _segment(at: Frame, start: Numbers, end: Numbers) -> Grid:
    step = end - start
    across, down = at.x - start[0], at.y - start[1]
    along = np.clip((across * step[0] + down * step[1]) / max(float(step @ step), 1e-9), 0, 1)
    found: Grid = np.hypot(across - along * step[0], down - along * step[1])
    return found


def union(*distances: Grid) -> Grid:
    """Whatever is inside any of them."""
    return _least(distances)


def subtract(distance: Grid, *cut: Grid) -> Grid:
    """The first with all the others taken out of it."""
    return _most([distance, *(-each for each in cut)])


def overlap(*distances: Grid) -> Grid:
    """Whatever is inside all of them."""
    return _most(distances)


def blend(one: Grid, other: Grid, softness: float) -> Grid:
    """The union with a fillet of about `softness` between the two (polynomial smooth minimum)."""
    near = np.maximum(np.float32(softness) - np.abs(one - other), 0) / np.float32(softness)
    return np.minimum(one, other) - near * near * np.float32(softness / 4)


def _least(distances: Sequence[Grid]) -> Grid:
    least: Grid = np.minimum.reduce(distances)
    return least


def _most(distances: Sequence[Grid]) -> Grid:
    most: Grid = np.maximum.reduce(distances)
    return most


def fill_outline(distance: Grid, scale: float) -> Grid:
    """How much of each pixel lies inside, 0 to 1."""
    found: Grid = np.clip(np.float32(0.5) - distance * np.float32(scale), 0, 1)
    return found


def bevel(distance: Grid, width: Value) -> Grid:
    """0 at the edge, rising to 1 at `width` inside, flat on both ends."""
    step = np.clip(-distance / np.float32(width), 0, 1)
    found: Grid = step * step * (3 - 2 * step)
    return found


def dome(distance: Grid, width: Value) -> Grid:
    """0 at the edge, rising like a quarter circle to 1 at `width` inside."""
    step = np.clip(-distance / np.float32(width), 0, 1)
    found: Grid = np.sqrt(np.maximum(step * (2 - step), 0))
    return found


def barrel(across: Grid, size: float) -> Grid:
    """The height of a round bar, 1 on its axis and 0 at `size` to either side of it."""
    found: Grid = np.sqrt(np.maximum(1 - (across / np.float32(size)) ** 2, 0))
    return found


class Cells(NamedTuple):
    """The picture split among several centres: coordinates about the nearest, and its number (H, W)."""

    frame: Frame
    number: NDArray[np.intp]


def cells(at: Frame, centres: Numbers, angles: Numbers | None = None) -> Cells:
    """Coordinates about the nearest of `centres` (N, 2), each turned by its own angle (N,)."""
    index = np.zeros(at.x.shape, np.intp)
    best = np.full(at.x.shape, np.inf, np.float32)
    for number, (x, y) in enumerate(centres):
        across, down = at.x - x, at.y - y
        squared = across * across + down * down
        closer = squared < best
        index[closer] = number
        np.minimum(best, squared, out=best)
    turned: Value = 0.0 if angles is None else angles.astype(np.float32)[index]
    return Cells(at.at(centres[:, 0][index], centres[:, 1][index], turned), index)


def lattice(columns: int, rows: int, across: float, down: float) -> Numbers:
    """Centres of a grid about the origin, row by row: (columns * rows, 2)."""
    xs = (np.arange(columns) - (columns - 1) / 2) * across
    ys = (np.arange(rows) - (rows - 1) / 2) * down
    return np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2).astype(np.float32)


def around(count: int, size: float, start: float = 0.0) -> Numbers:
    """Centres evenly on a circle: (count, 2)."""
    angles = start + np.arange(count) * (2 * np.pi / count)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32) * np.float32(size)
