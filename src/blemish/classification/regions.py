"""A region that a detector has found, and where in what is seen of a picture it lies; no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.blocks.defect_regions import DefectRegion, edge_of, median_of
from blemish.data.masks import read_ground_truth
from blemish.images import Places, Region, area, components, crop, scale
from blemish.notices import notice
from blemish.types import Sample

SMALLEST = 4
"""Pixels of a region of a mask, at least, that counts as a defect of its own."""


class Inside:
    """The pixels of one region of a picture (H, W)."""

    def __init__(self, box: Region, pixels: NDArray[np.bool_]) -> None:
        self.box, self.pixels = box, pixels  # (height, width) of the box

    def of_picture(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        """(H, W) of a picture of that size."""
        whole, (x, y, width, height) = np.zeros(size, bool), self.box
        whole[y : y + height, x : x + width] = self.pixels
        return whole


def inside_region(anomaly_map: NDArray[Any], region: DefectRegion) -> Inside:
    """Of a region that was found in the map."""
    values = crop(anomaly_map, region.box)
    labels, _ = components(values >= region.level)
    at = np.unravel_index(int(np.argmax(values == region.score)), values.shape)
    return Inside(region.box, labels == labels[at])


def inside_worst(anomaly_map: NDArray[Any]) -> Inside:
    """Round the highest value of a map (H, W), as far as a defect reaches: where nobody says what one is."""
    values = np.nan_to_num(anomaly_map, nan=-np.inf)
    level = edge_of(float(values.max()), median_of(anomaly_map))
    labels, _ = components(values >= level)
    return inside_mask(labels == labels[np.unravel_index(int(values.argmax()), values.shape)])


def inside_mask(mask: NDArray[np.bool_]) -> Inside:
    """Of a mask (H, W) that marks something."""
    (top, bottom), (left, right) = (np.flatnonzero(mask.any(axis))[[0, -1]].tolist() for axis in (1, 0))
    box = Region(left, top, right + 1 - left, bottom + 1 - top)
    return Inside(box, crop(mask, box))


def marked_regions(sample: Sample, size: tuple[int, int]) -> Iterator[Inside]:
    """Each region that the masks of a picture of that size mark, top to bottom; of one without a mask that is said."""
    if not sample.masks:
        notice("%s has no mask, so no defect of it is looked at: draw one", sample.image)
        return
    labels, boxes = components(read_ground_truth(sample.masks, sample.image, size=size))
    for number, box in enumerate(boxes, start=1):
        inside = crop(labels, box) == number
        if len(boxes) == 1 or inside.sum() >= SMALLEST:
            yield Inside(box, inside)


def find_places(places: Sequence[Places], inside: Inside) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """The grid (h, w, C) that shows most of a region, and 1 at those of its places that are seen of it, (h, w)."""
    laid = [(each.grid, _laid(each.region, inside)) for each in places]
    grid, weights = max(laid, key=lambda each: float(each[1].sum()))
    share = scale(weights, (grid.shape[0], grid.shape[1]), area)
    return grid, _core(grid[..., -1], share if share.any() else share + 1)


def _laid(part: Region, inside: Inside) -> NDArray[np.bool_]:
    """The region's pixels in a part of the picture, (height, width)."""
    weights, box = np.zeros((part.height, part.width), bool), inside.box
    left, top = max(box.x, part.x), max(box.y, part.y)
    right, bottom = min(box.x + box.width, part.x + part.width), min(box.y + box.height, part.y + part.height)
    if left < right and top < bottom:
        pixels = inside.pixels[top - box.y : bottom - box.y, left - box.x : right - box.x]
        weights[top - part.y : bottom - part.y, left - part.x : right - part.x] = pixels
    return weights


def _core(own: NDArray[Any], share: NDArray[np.float32]) -> NDArray[np.float32]:
    """Which places of a grid (h, w) are seen of a region: round its highest, down to half way to the map's median.

    So it does not matter whether a mask, a threshold or nobody says how far a region goes.
    """
    at = np.unravel_index(int(np.where(share > 0, own, -np.inf).argmax()), own.shape)
    labels, _ = components(own >= (own[at] + min(np.median(own), own[at])) / 2)
    return np.asarray(labels == labels[at], np.float32)
