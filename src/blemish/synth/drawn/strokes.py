"""Curves, blobs and specks drawn as soft planes: what flaws are made of.

Points are (N, 2) arrays of x, y in pixels, angles are radians from the x axis towards growing y.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage
from scipy.spatial import Voronoi

from blemish.synth.drawn.scene import Plane

Points = NDArray[np.float64]  # (N, 2): x, y
Widths = NDArray[np.float64]  # (N,)
Line = tuple[Points, Widths]
FINE = 4  # drawn this many times larger, so that a line may be a quarter of a pixel wide


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number from `low` to `high` whose logarithm is uniform: small things are as usual as large ones."""
    return float(math.exp(rng.uniform(math.log(low), math.log(high))))


def toward(angle: float, length: float = 1.0) -> Points:
    """The step (x, y) of `length` in a direction."""
    return np.array((math.cos(angle), math.sin(angle))) * length


def stroke(
    rng: np.random.Generator,
    start: Points,
    length: float,
    angle: float,
    *,
    bend: float = 0.0,
    wander: float = 0.0,
    jag: float = 0.0,
) -> Points:
    """A random curve: `bend` radians over its length, a heading that drifts by `wander` and jumps by `jag` radians."""
    count = int(np.clip(length / 3, 8, 64))
    along = np.linspace(-0.5, 0.5, count)
    drift = np.cumsum(rng.normal(0, wander / math.sqrt(count), count))
    heading = angle + bend * along + drift - drift[count // 2] + rng.normal(0, 1, count) * jag
    steps = np.stack([np.cos(heading), np.sin(heading)], axis=-1) * (length / (count - 1))
    points: Points = start + np.concatenate([np.zeros((1, 2)), np.cumsum(steps[:-1], axis=0)])
    return points


def move_to(points: Points, centre: Points) -> Points:
    """The same curve, moved so that its middle is at `centre`."""
    moved: Points = points - points[len(points) // 2] + centre
    return moved


def taper(rng: np.random.Generator, count: int, width: float, *, gaps: float = 0.0) -> Widths:
    """Widths along a line that fade at its ends, vary, and vanish over a share of about `gaps` of its length."""
    along = np.linspace(0, 1, count)
    ends = np.minimum(1, np.minimum(along / rng.uniform(0.02, 0.5), (1 - along) / rng.uniform(0.02, 0.5)))
    rough = ndimage.gaussian_filter1d(rng.normal(0, 1, count), max(1.0, count / 16), mode="nearest")
    rough = rough / (np.abs(rough).max() + 1e-9)
    widths = width * ends ** rng.uniform(0.3, 1) * (1 + 0.4 * rough)
    return np.where(rough < 2 * gaps - 1, 0.0, widths)


def spindle(count: int, width: float) -> Widths:
    """Widths of a slit: closed at both ends, open in the middle."""
    return width * np.sin(np.linspace(0, np.pi, count)) ** 0.7


def ink(side: int, lines: Sequence[Line]) -> Plane:
    """Lines of varying width, anti-aliased: (side, side) in [0, 1]."""
    if not lines:
        return np.zeros((side, side), np.float32)
    every = np.concatenate([points for points, _ in lines])
    widest = max(float(widths.max()) for _, widths in lines)

    def draw(pen: ImageDraw.ImageDraw, origin: Points) -> None:
        for points, widths in lines:
            _pull(pen, (points - origin) * FINE, widths * FINE)

    return _window(side, every, widest + 2, draw)


def _pull(pen: ImageDraw.ImageDraw, points: Points, widths: Widths) -> None:
    for (x0, y0), (x1, y1), width in zip(points[:-1], points[1:], (widths[:-1] + widths[1:]) / 2, strict=True):
        if width < 0.1:
            continue
        pen.line((x0, y0, x1, y1), fill=int(255 * min(1.0, width)), width=max(1, round(width)))
        if width > 5:
            half = width / 2
            pen.ellipse((x1 - half, y1 - half, x1 + half, y1 + half), fill=255)


def solids(side: int, shapes: Sequence[Points], values: Sequence[float] | None = None) -> Plane:
    """Polygons, anti-aliased, later ones over earlier ones, each of its value (1 unless given): (side, side)."""
    levels = [1.0] * len(shapes) if values is None else values
    if not shapes:
        return np.zeros((side, side), np.float32)

    def draw(pen: ImageDraw.ImageDraw, origin: Points) -> None:
        for shape, level in zip(shapes, levels, strict=True):
            pen.polygon(((shape - origin) * FINE).ravel().tolist(), fill=int(255 * level))

    return _window(side, np.concatenate(shapes), 2, draw)


def _window(side: int, points: Points, margin: float, draw: Callable[[ImageDraw.ImageDraw, Points], None]) -> Plane:
    """Draws only the part of the picture that `points` span: most flaws are small."""
    plane = np.zeros((side, side), np.float32)
    low = np.clip(np.floor(points.min(axis=0) - margin), 0, side).astype(int)
    high = np.clip(np.ceil(points.max(axis=0) + margin), 0, side).astype(int)
    width, height = (high - low).tolist()
    if width <= 0 or height <= 0:
        return plane
    canvas = Image.new("L", (width * FINE, height * FINE))
    draw(ImageDraw.Draw(canvas), low.astype(np.float64))
    plane[low[1] : high[1], low[0] : high[0]] = np.asarray(canvas.reduce(FINE), np.float32) / 255
    return plane


def contour(
    rng: np.random.Generator,
    centre: Points,
    radius: float,
    *,
    aspect: float = 1.0,
    angle: float = 0.0,
    rough: float = 0.3,
    jagged: bool = False,
) -> Points:
    """A closed star-convex outline with a fractal edge, `aspect` times as long as wide, or with few sharp corners."""
    count = int(rng.integers(5, 12)) if jagged else int(np.clip(radius * 3, 16, 96))
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False) + (rng.uniform(-0.2, 0.2, count) if jagged else 0)
    waves = np.arange(1, 13)
    weights = rng.normal(0, 1, 12) * waves**-1.1
    ripple = (weights[:, None] * np.cos(waves[:, None] * turn + rng.uniform(0, 2 * np.pi, (12, 1)))).sum(axis=0)
    if jagged:
        ripple = rng.normal(0, 1, count)
    distance = radius * np.clip(1 + rough * ripple, 0.25, 2.0)
    stretched = np.stack(
        [np.cos(turn) * distance * math.sqrt(aspect), np.sin(turn) * distance / math.sqrt(aspect)], axis=-1
    )
    cos, sin = math.cos(angle), math.sin(angle)
    placed: Points = stretched @ np.array([[cos, sin], [-sin, cos]]) + centre
    return placed


def spatter(rng: np.random.Generator, centre: Points, spread: float, count: int, size: float) -> list[Points]:
    """Outlines of `count` specks, most of them small and near the centre."""
    places = centre + rng.normal(0, spread, (count, 2))
    return [
        contour(rng, place, size * math.exp(rng.normal(-0.4, 0.5)), aspect=rng.uniform(1, 2), angle=rng.uniform(0, 3))
        for place in places
    ]


def crack_tree(
    rng: np.random.Generator, start: Points, length: float, angle: float, width: float, *, jag: float, depth: int = 2
) -> list[Line]:
    """A crack's tree: a jagged trunk that narrows, with shorter branches off to its sides."""
    trunk = stroke(rng, start, length, angle, wander=rng.uniform(0.1, 0.9), jag=jag)
    count = len(trunk)
    widths = width * np.linspace(1, 0.35, count) * rng.uniform(0.5, 1.3, count)
    lines = [(trunk, widths)]
    if depth == 0 or length < 10:
        return lines
    for _ in range(int(rng.poisson(1.4))):
        at = int(rng.integers(1, count - 1))
        aside = angle + rng.choice((-1, 1)) * rng.uniform(0.35, 1.2)
        share = rng.uniform(0.15, 0.55)
        lines += crack_tree(rng, trunk[at], length * share, aside, width * 0.65, jag=jag, depth=depth - 1)
    return lines


def network(rng: np.random.Generator, centre: Points, radius: float, cells: int, width: float) -> list[Line]:
    """The crooked walls between random cells around a place: hairline cracks that meet."""
    seeds = centre + rng.uniform(-radius, radius, (max(cells, 6), 2))
    diagram = Voronoi(seeds)
    walls = [wall for wall in diagram.ridge_vertices if min(wall) >= 0 and rng.random() < 0.88]
    ends = [(diagram.vertices[first], diagram.vertices[second]) for first, second in walls]
    near = [pair for pair in ends if max(np.abs(pair[0] - centre).max(), np.abs(pair[1] - centre).max()) < 1.1 * radius]
    return [(_crooked(rng, first, second), width * rng.uniform(0.4, 1.4, 6)) for first, second in near]


def _crooked(rng: np.random.Generator, first: Points, second: Points) -> Points:
    along = np.linspace(0, 1, 6)[:, None]
    sideways = rng.normal(0, 0.06 * float(np.abs(second - first).sum()), (6, 2)) * np.sin(np.pi * along)
    return first + (second - first) * along + sideways
