"""A region that a detector has found -> what a classifier sees of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from blemish.blocks.defect_regions import DefectRegion
from blemish.data.masks import read_ground_truth
from blemish.encoders.inputs import as_tensor, device_of
from blemish.images import Places, Region
from blemish.notices import notice
from blemish.types import Classifier, Cropper, Sample

TOUCHING = np.ones((3, 3), np.int8)
"""Pixels belong together that share a side or a corner."""
SMALLEST = 4
"""Pixels of a region of a mask, at least, that counts as a defect of its own."""


class Inside:
    """The pixels of one region of a picture (H, W)."""

    def __init__(self, box: Region, pixels: NDArray[np.bool_]) -> None:
        self.box, self.pixels = box, pixels  # (height, width) of the box

    def of_picture(self, size: tuple[int, int]) -> Tensor:
        """Bool (H, W) of a picture of that size."""
        whole, (x, y, width, height) = torch.zeros(size, dtype=torch.bool), self.box
        whole[y : y + height, x : x + width] = torch.from_numpy(self.pixels)
        return whole


def inside_region(anomaly_map: NDArray[Any], region: DefectRegion, threshold: float) -> Inside:
    """Of a region that was found in the map from that threshold on."""
    from scipy import ndimage  # here, since it is slow to import and most inspections need none

    x, y, width, height = region.box
    values = anomaly_map[y : y + height, x : x + width]
    labels, _ = ndimage.label(values >= threshold, structure=TOUCHING)
    at = np.unravel_index(int(np.argmax(values == region.score)), values.shape)
    return Inside(region.box, labels == labels[at])


def inside_worst(anomaly_map: NDArray[Any]) -> Inside:
    """Round the highest value of a map (H, W), down to half way to its median: where nobody says what a defect is."""
    from scipy import ndimage  # as above

    values = np.nan_to_num(anomaly_map, nan=-np.inf)
    level = (values.max() + np.median(values[np.isfinite(values)])) / 2
    labels, _ = ndimage.label(values >= level, structure=TOUCHING)
    return inside_mask(labels == labels[np.unravel_index(int(values.argmax()), values.shape)])


def inside_mask(mask: NDArray[np.bool_]) -> Inside:
    """Of a mask (H, W) that marks something."""
    from scipy import ndimage  # as above

    down, right = ndimage.find_objects(mask.astype(np.int8))[0]
    box = Region(right.start, down.start, right.stop - right.start, down.stop - down.start)
    return Inside(box, mask[down, right])


def marked_regions(sample: Sample, size: tuple[int, int]) -> Iterator[Inside]:
    """Each region that the masks of a picture of that size mark, top to bottom; of one without a mask that is said."""
    from scipy import ndimage  # as above

    if not sample.masks:
        notice("%s has no mask, so no defect of it is looked at: draw one", sample.image)
        return
    labels, count = ndimage.label(read_ground_truth(sample.masks, sample.image, size=size), structure=TOUCHING)
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        inside, (down, right) = labels[place] == number, place
        if count == 1 or inside.sum() >= SMALLEST:
            yield Inside(Region(right.start, down.start, inside.shape[1], inside.shape[0]), inside)


def see_regions(
    classifier: Classifier, picture: NDArray[Any], places: Sequence[Places], regions: Sequence[Inside]
) -> Tensor:
    """What the classifier sees of each region of a picture (3, H, W): (R, V, D).

    In one view, of the part of the picture that holds most of the region; or, if it is a `Cropper`, in its crops.
    """
    if isinstance(classifier, Cropper):
        return torch.stack([_see_crops(classifier, as_tensor(picture), each) for each in regions])
    rows = [_see(classifier, *_part(places, each)) for each in regions]
    return torch.stack(rows)[:, None]


@torch.no_grad()
def _see_crops(classifier: Cropper, picture: Tensor, inside: Inside) -> Tensor:
    crops, shown = classifier.crop(picture, inside.of_picture((picture.shape[-2], picture.shape[-1])))
    home = device_of(classifier)
    return classifier.look_inside(crops.to(home), shown.to(home)).cpu()


def _part(places: Sequence[Places], inside: Inside) -> tuple[Tensor, Tensor]:
    """The grid (h, w, C) that shows most of the region, and its pixels there, (H, W)."""
    laid = [(as_tensor(each.grid), _laid(each.region, inside)) for each in places]
    return max(laid, key=lambda each: float(each[1].sum()))


def _laid(part: Region, inside: Inside) -> Tensor:
    """The region's pixels in a part of the picture, (height, width)."""
    weights, box = torch.zeros(part.height, part.width), inside.box
    left, top = max(box.x, part.x), max(box.y, part.y)
    right, bottom = min(box.x + box.width, part.x + part.width), min(box.y + box.height, part.y + part.height)
    if left < right and top < bottom:
        pixels = inside.pixels[top - box.y : bottom - box.y, left - box.x : right - box.x]
        weights[top - part.y : bottom - part.y, left - part.x : right - part.x] = torch.from_numpy(pixels).float()
    return weights


def shares(weights: Tensor, places: Tensor) -> Tensor:
    """How much of each of the places (N, h, w, C) a region (N, H, W) covers; of one that covers none its nearest."""
    found = F.adaptive_avg_pool2d(weights.to(places), (places.shape[1], places.shape[2]))
    return found + 1e-6 * (found.sum((1, 2), keepdim=True) == 0)


@torch.no_grad()
def _see(classifier: Classifier, grid: Tensor, weights: Tensor) -> Tensor:
    core = _core(grid[..., -1], shares(weights[None], grid[None])[0])
    return classifier.gather(grid[None, ..., :-1], core[None])[0]


def _core(own: Tensor, share: Tensor) -> Tensor:
    """Which places of a grid (h, w) are seen of a region: round its highest, down to half way to the map's median.

    So it does not matter whether a mask, a threshold or nobody says how far a region goes.
    """
    from scipy import ndimage  # as above

    values = own.float().numpy()
    at = np.unravel_index(int(np.where(share.numpy() > 0, values, -np.inf).argmax()), values.shape)
    labels, _ = ndimage.label(values >= (values[at] + min(np.median(values), values[at])) / 2, structure=TOUCHING)
    return torch.from_numpy(labels == labels[at]).float()
