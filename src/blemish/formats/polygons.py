"""Polygons as pixels and pixels as polygons, exactly: a pixel belongs to a polygon if its centre lies inside."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from blemish.blocks.defect_regions import outline
from blemish.images import components, crop

Polygon = Sequence[Sequence[float]]
"""Corners [x, y], closed from the last to the first."""
_AT_ONCE = 1 << 20
"""Pairs of sides that are compared at once."""


def bounds(polygons: Sequence[Polygon]) -> tuple[float, float, float, float]:
    """The least box around polygons: x, y, width, height."""
    xs = [point[0] for each in polygons for point in each]
    ys = [point[1] for each in polygons for point in each]
    x, y = min(xs), min(ys)
    return x, y, max(xs) - x, max(ys) - y


def snap(value: float) -> float:
    """A place in pixels: whole where it is so but for the rounding of shares and percent; what is not finite as is."""
    return float(round(value)) if isfinite(value) and abs(value - round(value)) < 1e-4 else value


def area(polygon: Polygon) -> float:
    """Pixels inside (the shoelace formula), not negative."""
    x, y = np.asarray(polygon, np.float64).T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def fill_polygon(mask: NDArray[np.bool_], polygon: Polygon) -> None:
    """Set the pixels (H, W) whose centre lies in the polygon; where it runs over itself, those of odd depth."""
    height, width = mask.shape
    start = np.asarray(polygon, np.float64)
    end = _next(start)
    low, high = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
    first = np.clip(np.ceil(low - 0.5), 0, height).astype(np.int64)  # rows whose centres the side passes
    count = np.clip(np.ceil(high - 0.5), 0, height).astype(np.int64) - first
    side = np.repeat(np.arange(len(start)), count)
    if not len(side):
        return
    row = np.arange(len(side)) - np.repeat(np.cumsum(count) - count, count) + first[side]
    (x0, y0), (x1, y1) = start[side].T, end[side].T
    column = np.ceil(x0 + (row + 0.5 - y0) * (x1 - x0) / (y1 - y0) - 0.5)
    top, left = int(row.min()), max(0, int(column.min()))
    right, down = min(width, int(column.max())), int(row.max()) + 1
    if right <= left:
        return
    wide = right - left + 1
    places = (row - top) * wide + (np.clip(column, left, right).astype(np.int64) - left)
    crossed = np.bincount(places, minlength=(down - top) * wide).reshape(-1, wide)
    mask[top:down, left:right] |= (np.cumsum(crossed, axis=1)[:, :-1] & 1).astype(bool)


def _next(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """The corner after each, the first one after the last."""
    return np.concatenate((corners[1:], corners[:1]))


def crosses_itself(polygon: Polygon) -> bool:
    """Whether two sides cut through each other; to touch, up to rounding, is not to cross."""
    corners = np.asarray(polygon, np.float64)
    corners = corners - corners[0]
    (x, y), (along, down) = corners.T, (_next(corners) - corners).T
    lines = np.stack([along, -down, down * x - along * y], axis=1)  # (N, 3); times a point: on which side it lies
    points = np.stack([y, x, np.ones_like(x)])  # (3, N)
    rounding = 1e-9 * float(np.abs(corners).max() ** 2)
    step = max(1, _AT_ONCE // len(corners))
    return any(_cut(lines, points, slice(at, at + step), rounding) for at in range(0, len(corners), step))


def _cut(lines: NDArray[np.float64], points: NDArray[np.float64], some: slice, rounding: float) -> bool:
    """Whether one of `some` sides cuts through any other: the ends of each lie on two sides of the other's line."""
    start = _sides(lines[some], points, rounding)
    through = start * _next(start.T).T < 0
    if len(through) == len(lines):
        return bool((through & through.T).any())
    end = _sides(lines, _next(points.T).T[:, some], rounding)
    return bool((through & (_sides(lines, points[:, some], rounding) * end < 0).T).any())


def _sides(lines: NDArray[np.float64], points: NDArray[np.float64], rounding: float) -> NDArray[np.float64]:
    """(N, 3), (3, M) -> (N, M): positive and negative on the two sides of each line, 0 on it."""
    found = lines @ points
    found[np.abs(found) < rounding] = 0
    return found


def polygons_of(mask: NDArray[np.bool_], offset: tuple[int, int] = (0, 0)) -> list[Polygon]:
    """The outlines of a mask's parts, holes filled; moved by `offset` (x, y)."""
    found = components(mask)
    polygons = []
    for number, box in enumerate(found.boxes, start=1):
        corner = np.array([box.x + offset[0], box.y + offset[1]])
        polygons.append((outline(crop(found.labels, box) == number) + corner).tolist())
    return polygons


def mask_of_runs(counts: Sequence[int], height: int, width: int, *, by_columns: bool) -> NDArray[np.bool_] | None:
    """The mask of lengths of runs, outside and inside in turn; None where they are not as long as the mask is."""
    lengths = np.asarray(counts, np.int64)
    if lengths.ndim != 1 or (lengths < 0).any() or lengths.sum() != height * width:
        return None
    flat = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return np.ascontiguousarray(flat.reshape(width, height).T) if by_columns else flat.reshape(height, width)
