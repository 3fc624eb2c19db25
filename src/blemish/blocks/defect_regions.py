"""Anomaly maps -> the defects that a threshold finds in them, how far each reaches, and their outlines."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blemish.errors import BadInput
from blemish.images import Region, components, crop

SHARE = 0.5
"""Of the height of a defect's highest pixel above the median of its map, where the defect ends."""
SAMPLED = 1 << 8
"""Rows, and columns, of a map that its median is taken of, at even distances."""


class DefectRegion(NamedTuple):
    """Pixels that touch each other, by a side or a corner, and all reach its level."""

    box: Region
    area: int  # pixels
    area_mm2: float | None  # None without a scale; of six digits
    length: float  # pixels between the two points of its outline that are farthest apart
    length_mm: float | None  # None without a scale; of six digits
    score: float  # the highest of the map
    level: float  # of the map: the threshold, or what `edge_of` says of the highest where that is more
    mean: float
    centroid: tuple[float, float]  # (x, y), the centre of the top left pixel being (0, 0)
    contour: NDArray[np.int64]  # (V, 2): the outline, see `outline`; holes are not drawn

    def as_json(self, kind: str | None = None) -> dict[str, Any]:
        """Plain values, as a line of `results.jsonl` lists them; `kind` is the defect's type."""
        return {
            "box": self.box._asdict(),
            "area": self.area,
            "area_mm2": self.area_mm2,
            "length": round(self.length, 1),
            "length_mm": self.length_mm,
            "score": self.score,
            "mean": self.mean,
            "contour": self.contour.tolist(),
            "type": kind,
        }


def regions(
    anomaly_map: NDArray[Any],
    threshold: float,
    *,
    scale: float | None = None,
    least: int = 1,
    most: int = 1000,
    share: float = SHARE,
) -> list[DefectRegion]:
    """The `most` worst regions of at least `least` pixels that a threshold finds in a map (H, W), worst first.

    What is found are pixels >= threshold that touch each other. A region reaches from the highest of them down to its
    `edge_of`, or to the threshold where that is more: by very even good parts a threshold is so low that it finds much
    of what is only near a defect. Where this cuts what was found in pieces each is a region. NaN, not inspected,
    belongs to none. `scale` is millimetres a pixel, `share` that of `edge_of`.
    """
    if anomaly_map.ndim != 2:
        raise BadInput(f"the map is {tuple(anomaly_map.shape)}: regions are found in one map (H, W) at a time")
    if scale is not None and not scale > 0:
        raise BadInput(f"scale={scale}: give millimetres a pixel, a positive number")
    scores = np.asarray(anomaly_map)
    reached = scores >= threshold
    labels, boxes = components(reached)
    highest = np.full(len(boxes) + 1, -np.inf, scores.dtype)
    np.maximum.at(highest, labels[reached], scores[reached])
    worst = (1 + np.argsort(-highest[1:], kind="stable"))[:most]
    median, found = median_of(scores) if len(worst) else np.nan, list[DefectRegion]()
    for number in worst.tolist():
        box, level = boxes[number - 1], max(threshold, edge_of(float(highest[number]), median, share))
        values = crop(scores, box)
        pieces, places = components((crop(labels, box) == number) & (values >= level))
        each = zip((crop(pieces, place) == piece for piece, place in enumerate(places, 1)), places, strict=True)
        found += [_described(crop(values, place), inside, _within(place, box), level, scale) for inside, place in each]
    return sorted((each for each in found if each.area >= least), key=lambda each: -each.score)[:most]


def edge_of(highest: float, median: float, share: float = SHARE) -> float:
    """Where a defect with that highest pixel ends, in a map with that median: at a share of its height above it."""
    return median + share * (highest - median)


def median_of(anomaly_map: NDArray[Any]) -> float:
    """What most of a map (H, W) is like, of what was inspected: the median of pixels at even distances.

    Of all pixels, where none of these was.
    """
    down, across = (-(-side // SAMPLED) for side in anomaly_map.shape)
    some = anomaly_map[::down, ::across]
    some = some[~np.isnan(some)]
    return float(np.median(some if len(some) else anomaly_map[~np.isnan(anomaly_map)]))


def _within(place: Region, box: Region) -> Region:
    return place._replace(x=box.x + place.x, y=box.y + place.y)


def _described(
    values: NDArray[Any], inside: NDArray[np.bool_], box: Region, level: float, scale: float | None
) -> DefectRegion:
    """The pixels inside of a box, of the map's values there, both (height, width)."""
    own = values[inside]
    rows, columns = np.count_nonzero(inside, axis=1), np.count_nonzero(inside, axis=0)  # pixels of each
    (x, y, *_), contour = box, outline(inside)
    length = _length(contour)
    return DefectRegion(
        box=box,
        area=len(own),
        area_mm2=None if scale is None else _six_digits(len(own) * scale**2),
        length=length,
        length_mm=None if scale is None else _six_digits(length * scale),
        score=float(own.max()),
        level=level,
        mean=float(own.mean(dtype=np.float64)),
        centroid=(x + _centre(columns), y + _centre(rows)),
        contour=contour + np.array([x, y]),
    )


def _six_digits(value: float) -> float:
    return float(f"{value:.6g}")


def _centre(counts: NDArray[np.int64]) -> float:
    return float(counts @ np.arange(len(counts)) / counts.sum())


def _length(contour: NDArray[np.int64]) -> float:
    """The widest of its shadows (V, 2) at every degree: at most 1 in 25,000 too short."""
    angles = np.deg2rad(np.arange(180))
    return float(np.ptp(contour @ np.stack([np.cos(angles), np.sin(angles)]), axis=0).max())


def outline(inside: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The closed polygon (V, 2) around one region of a bool (H, W), along the sides of its pixels.

    Points are corners (x, y) of pixels, (0, 0) the top left one of the picture, clockwise on the screen, only where the
    way turns. Pixels that touch at a corner are connected.
    """
    width = inside.shape[1] + 2
    pixels = np.pad(inside, 1).tobytes()
    # Ways are east, south, west, north: the step, and the pixels ahead to the left and to the right of the corner.
    steps, left, right = (1, width, -1, -width), (-width, 0, -1, -1 - width), (0, -1, -1 - width, -width)
    start = corner = pixels.index(1)
    way = 0
    turns: list[int] = []
    while not turns or (corner, way) != (start, 0):
        corner += steps[way]
        ahead = pixels[corner + left[way]], pixels[corner + right[way]]
        if ahead != (0, 1):
            way = (way - 1) % 4 if ahead[0] else (way + 1) % 4
            turns.append(corner)
    return np.stack(np.divmod(turns, width)[::-1], axis=1) - 1  # less the padding
