"""Polygons as pixels and pixels as polygons, exactly: a pixel belongs to a polygon if its centre lies inside."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, groupby, islice
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from blemish.blocks.defect_regions import outline
from blemish.images import components, crop

Polygon = Sequence[Sequence[float]]
"""Corners [x, y], closed from the last to the first."""
_AT_ONCE = 1 << 20
"""Pairs of sides that are compared at once."""
_ROUNDING = 1e-4
"""Pixels by which shares and percent miss a place."""


def bounds(polygons: Sequence[Polygon]) -> tuple[float, float, float, float]:
    """The least box around polygons: x, y, width, height."""
    xs = [point[0] for each in polygons for point in each]
    ys = [point[1] for each in polygons for point in each]
    x, y = min(xs), min(ys)
    return x, y, max(xs) - x, max(ys) - y


def boxes_around(shapes: Sequence[Sequence[Polygon]]) -> list[tuple[float, float, float, float]]:
    """The least box around the polygons of each shape, as `bounds`; not finite where a corner is not."""
    if not shapes:
        return []
    corners, _ = _flat(list(chain.from_iterable(shapes)))
    count = np.fromiter((sum(map(len, each)) for each in shapes), np.int64, len(shapes))
    first = np.cumsum(count) - count
    low, high = np.minimum.reduceat(corners, first), np.maximum.reduceat(corners, first)
    with np.errstate(invalid="ignore"):
        return list(map(tuple, np.hstack((low, high - low)).tolist()))


def snap(value: float) -> float:
    """A place in pixels: whole where it is so but for the rounding of shares and percent; what is not finite as is."""
    return float(round(value)) if isfinite(value) and abs(value - round(value)) < _ROUNDING else value


def from_shares(outlines: Sequence[Sequence[float]], width: int, height: int, whole: float = 1) -> list[Polygon]:
    """Outlines, each x and y in turn as shares of a picture's sides -> polygons in pixels, as `snap` leaves them.

    whole: what stands for a whole side, 100 where they are percent. Values are finite.
    """
    flat = np.fromiter(chain.from_iterable(outlines), np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        places = flat.reshape(-1, 2) * (width, height) / whole
        pixels = np.rint(places)
        places = np.where(np.abs(places - pixels) < _ROUNDING, pixels + 0.0, places)
    corners = iter(places.tolist())
    return [list(islice(corners, len(each) // 2)) for each in outlines]


def area(polygon: Polygon) -> float:
    """Pixels inside (the shoelace formula), not negative."""
    x, y = np.asarray(polygon, np.float64).T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def fill_polygons(masks: NDArray[np.bool_], polygons: Sequence[Polygon], of: Sequence[int]) -> None:
    """Set the pixels whose centre lies in a polygon, each in the mask (K, H, W) of its number.

    Where a polygon runs over itself, its pixels are those of odd depth.
    """
    height, width = masks.shape[1:]
    start, corners = _flat(polygons)
    after = np.arange(1, len(start) + 1)
    after[np.cumsum(corners) - 1] -= corners  # the first corner follows the last
    end = start[after]
    low, high = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
    first = np.clip(np.ceil(low - 0.5), 0, height).astype(np.int64)  # rows whose centres the side passes
    count = np.clip(np.ceil(high - 0.5), 0, height).astype(np.int64) - first
    side = np.repeat(np.arange(len(start)), count)
    row = _steps(count) + first[side]
    (x0, y0), (x1, y1) = start[side].T, end[side].T
    column = np.clip(np.ceil(x0 + (row + 0.5 - y0) * (x1 - x0) / (y1 - y0) - 0.5), 0, width).astype(np.int64)
    line = np.repeat(np.arange(len(corners)), corners)[side] * height + row  # of each polygon its own rows
    entered, left = np.sort(line * (width + 1) + column).reshape(-1, 2).T  # in each row as often as it is left
    line, column = np.divmod(entered, width + 1)
    number, row = np.divmod(line, height)
    _fill_spans(masks, np.asarray(of, np.int64)[number], row, column, left - entered)


def _fill_spans(
    masks: NDArray[np.bool_],
    number: NDArray[np.int64],
    row: NDArray[np.int64],
    column: NDArray[np.int64],
    length: NDArray[np.int64],
) -> None:
    pixels, (_, height, width) = masks.reshape(-1), masks.shape
    begin = (number * height + row) * width + column
    step = max(1, _AT_ONCE // width)
    for at in range(0, len(row), step):
        count = length[at : at + step]
        before = np.cumsum(count) - count
        pixels[np.repeat(begin[at : at + step] - before, count) + np.arange(count.sum())] = True


def _steps(count: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, ... one after the other, so many of each: (2, 3) -> (0, 1, 0, 1, 2)."""
    return np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)


def _flat(polygons: Sequence[Polygon]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The corners of all, one after the other (N, 2), and how many each has."""
    corners = np.fromiter(map(len, polygons), np.int64, len(polygons))
    values = chain.from_iterable(chain.from_iterable(polygons))
    return np.fromiter(values, np.float64, 2 * int(corners.sum())).reshape(-1, 2), corners


def cross_themselves(polygons: Sequence[Polygon]) -> NDArray[np.bool_]:
    """Of each polygon whether two of its sides cut through each other; to touch, up to rounding, is not to cross."""
    found = np.zeros(len(polygons), bool)
    may_cross = [number for number, each in enumerate(polygons) if len(each) > 3]
    by_size = sorted(may_cross, key=lambda number: len(polygons[number]))
    for _, alike in groupby(by_size, key=lambda number: len(polygons[number]).bit_length()):
        some = list(alike)
        found[some] = _crossed(_stack([polygons[number] for number in some]))
    return found


def _stack(polygons: Sequence[Polygon]) -> NDArray[np.float64]:
    """Corners (P, N, 2), each from its first one on; the last is there several times where a polygon has fewer."""
    flat, corners = _flat(polygons)
    begin = np.cumsum(corners) - corners
    place = begin[:, None] + np.minimum(np.arange(corners.max()), corners[:, None] - 1)
    return np.asarray(flat[place] - flat[begin][:, None])


def _crossed(corners: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(P, N, 2) -> (P,)."""
    x, y = np.moveaxis(corners, 2, 0)
    along, down = _next(x) - x, _next(y) - y
    lines = np.stack([along, -down, down * x - along * y], axis=2)  # (P, N, 3); times a point: on which side it lies
    points = np.stack([y, x, np.ones_like(x)], axis=1)  # (P, 3, N)
    rounding = 1e-9 * np.abs(corners).max((1, 2), keepdims=True) ** 2
    found = np.zeros(len(corners), bool)
    step = max(1, _AT_ONCE // x.size)
    for at in range(0, x.shape[1], step):
        found |= _cut(lines, points, slice(at, at + step), rounding)
        if found.all():
            break
    return found


def _next(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The one after each, the first one after the last."""
    return np.concatenate((values[..., 1:], values[..., :1]), -1)


def _cut(
    lines: NDArray[np.float64], points: NDArray[np.float64], some: slice, rounding: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Whether one of `some` sides cuts through any other: the ends of each lie on two sides of the other's line."""
    start = _sides(lines[:, some], points, rounding)
    through = start * _next(start) < 0  # (P, some, N)
    if through.shape[1] == through.shape[2]:
        back = through
    else:
        end = _sides(lines, _next(points)[:, :, some], rounding)
        back = _sides(lines, points[:, :, some], rounding) * end < 0
    return np.asarray((through & back.swapaxes(1, 2)).any((1, 2)))


def _sides(
    lines: NDArray[np.float64], points: NDArray[np.float64], rounding: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(P, N, 3), (P, 3, M) -> (P, N, M): positive and negative on the two sides of each line, 0 on it."""
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
