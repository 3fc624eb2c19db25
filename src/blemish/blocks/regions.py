"""Anomaly maps -> the regions where they reach a threshold, with their outlines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from blemish.errors import BadInput
from blemish.images import Region

EIGHT_CONNECTED = np.ones((3, 3), dtype=bool)
Points = NDArray[np.int64]


class DefectRegion(NamedTuple):
    """Pixels that touch each other, by a side or a corner, and all reach the threshold."""

    box: Region
    area: int  # pixels
    area_mm2: float | None  # None without a scale
    score: float  # the highest of the map
    mean: float
    centroid: tuple[float, float]  # (x, y), the centre of the top left pixel being (0, 0)
    contours: tuple[Points, ...]  # (V, 2) corners (x, y) of pixels each: the outline, then those of the holes

    def as_json(self, kind: str | None = None) -> dict[str, Any]:
        """Plain values, as a line of `results.jsonl` lists them; `kind` is the defect's type."""
        return {
            "box": self.box._asdict(),
            "area": self.area,
            "area_mm2": self.area_mm2,
            "score": self.score,
            "mean": self.mean,
            "contour": self.contours[0].tolist(),
            "type": kind,
        }


def regions(anomaly_map: Tensor, threshold: float, *, scale: float | None = None, least: int = 1) -> list[DefectRegion]:
    """Regions of at least `least` pixels where the map (H, W) is >= threshold, worst first.

    NaN, not inspected, belongs to no region. `scale` is millimetres a pixel.
    """
    if anomaly_map.ndim != 2:
        raise BadInput(f"the map is {tuple(anomaly_map.shape)}: regions are found in one map (H, W) at a time")
    if scale is not None and not scale > 0:
        raise BadInput(f"scale={scale}: give millimetres a pixel, a positive number")
    scores = anomaly_map.detach().cpu().numpy()
    labels, _ = ndimage.label(scores >= threshold, structure=EIGHT_CONNECTED)
    areas = np.bincount(labels.ravel())
    boxes = ndimage.find_objects(labels)
    kept = [number for number in range(1, len(areas)) if areas[number] >= least]
    found = [_described(scores, labels, number, boxes[number - 1], scale) for number in kept]
    return sorted(found, key=lambda region: region.score, reverse=True)


def _described(
    scores: NDArray[Any], labels: NDArray[Any], number: int, window: tuple[slice, slice], scale: float | None
) -> DefectRegion:
    inside = labels[window] == number
    values = scores[window][inside]
    rows, columns = np.nonzero(inside)
    y, x = window[0].start, window[1].start
    return DefectRegion(
        box=Region(x, y, inside.shape[1], inside.shape[0]),
        area=len(values),
        area_mm2=None if scale is None else len(values) * scale**2,
        score=float(values.max()),
        mean=float(values.mean(dtype=np.float64)),
        centroid=(x + float(columns.mean()), y + float(rows.mean())),
        contours=tuple(contour + (x, y) for contour in outlines(inside)),
    )


def outlines(inside: NDArray[np.bool_]) -> list[Points]:
    """Closed polygons (V, 2) along the sides of the pixels of a bool (H, W), corners (x, y) only, the longest first.

    The pixels lie to the right of the way: outlines run clockwise on the screen, those of holes against it. Pixels
    that touch at a corner are connected.
    """
    starts, steps = _sides(np.pad(inside, 1))
    follower = _followers(starts, steps)
    return sorted((_corners(loop) for loop in _loops(starts, follower)), key=_enclosed, reverse=True)


def _sides(inside: NDArray[np.bool_]) -> tuple[Points, Points]:
    """Where each side between a pixel and the outside begins, and its step: two (S, 2) of (x, y)."""
    directions = ((1, 0), (0, 1), (-1, 0), (0, -1))  # along the top, right, bottom and left side
    outside = (np.roll(~inside, shift, axis) for shift, axis in ((1, 0), (-1, 1), (-1, 0), (1, 1)))
    corners = ((0, 0), (1, 0), (1, 1), (0, 1))
    starts, steps = [], []
    for empty, corner, direction in zip(outside, corners, directions, strict=True):
        rows, columns = np.nonzero(inside & empty)
        starts.append(np.stack([columns, rows], 1) + corner - 1)  # less the padding
        steps.append(np.broadcast_to(direction, (len(rows), 2)))
    return np.concatenate(starts), np.concatenate(steps)


def _followers(starts: Points, steps: Points) -> list[int]:
    """The number of the side that goes on where each one ends: (S,).

    Where two pixels touch at a corner two sides go on, and the left turn keeps the pixels together.
    """
    width = int(starts[:, 0].max()) + 2
    turned = np.stack([steps[:, 1], -steps[:, 0]], 1)  # to the left, y pointing down

    def keys(points: Points, ways: Points) -> NDArray[np.int64]:
        return ((points[:, 1] + 1) * width + points[:, 0] + 1) * 9 + (ways[:, 1] + 1) * 3 + ways[:, 0] + 1

    own = keys(starts, steps)
    order = np.argsort(own)
    ends, follower = starts + steps, np.full(len(starts), -1)
    for ways in (-turned, steps, turned):  # the later ones take precedence
        wanted = keys(ends, ways)
        place = np.minimum(np.searchsorted(own, wanted, sorter=order), len(own) - 1)
        follower = np.where(own[order[place]] == wanted, order[place], follower)
    listed: list[int] = follower.tolist()
    return listed


def _loops(starts: Points, follower: Sequence[int]) -> list[Points]:
    """The points of each closed way (V, 2)."""
    left, loops = bytearray(b"\1") * len(follower), []
    for first in range(len(follower)):
        loop, side = [], first
        while left[side]:
            left[side] = 0
            loop.append(side)
            side = follower[side]
        if loop:
            loops.append(starts[loop])
    return loops


def _corners(loop: Points) -> Points:
    """A closed way without the points that lie on a straight line."""
    before, after = loop - np.roll(loop, 1, 0), np.roll(loop, -1, 0) - loop
    return loop[(before != after).any(1)]


def _enclosed(polygon: Points) -> float:
    """The area within, negative for a hole."""
    x, y = polygon.T
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) / 2
