"""What a classifier sees of pictures on disk, as a stream."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from blemish.blocks.rotation import mirrors
from blemish.classification.regions import marked_regions
from blemish.encoders.inputs import as_tensor, device_of
from blemish.errors import BadImage, BadInput
from blemish.images import WHOLE, Region, Unreadable, View, frame, keyed_batches
from blemish.inspection import stream
from blemish.types import Classifier, Cropper, Geometry, Sample

Of = Literal["pictures", "defects"]
"""What is named: whole pictures, or each of the regions that their masks mark."""


class Description(NamedTuple):
    """What a classifier sees of one picture, or of one region of it."""

    sample: Sample
    seen: Tensor  # (V, D)
    box: Region | None = None  # of the region in the picture


def describe(
    classifier: Classifier,
    samples: Sequence[Sample],
    *,
    of: Of = "pictures",
    mirrored: bool = False,
    view: View = WHOLE,
    batch_size: int = 8,
    unreadable: list[Unreadable] | None = None,
    advance: Callable[[], None] | None = None,
) -> Iterator[Description]:
    """One or, of defects, several a picture, in order; what cannot be read is added to `unreadable`, or raised.

    mirrored: each in four views, mirrored left to right, top to bottom and both ways as well; but for a `Cropper`,
        which has views of its own.
    """
    if view != WHOLE and (of == "defects" or isinstance(classifier, Cropper)):
        raise BadInput("defects by their masks, and crops, are seen in whole pictures: leave out tiles and regions")
    found = _parts(classifier, samples, of, view, unreadable, advance)
    if isinstance(classifier, Cropper):
        yield from (Description(each.sample, _look_inside(classifier, each, batch_size), each.box) for each in found)
        return
    for owners, stacked in keyed_batches(((each, each.image) for each in found), batch_size):
        images = as_tensor(stacked)
        weights = [each.weights(classifier.geometry) for each in owners]
        views = [_look(classifier, images, weights)]
        views += [_look(classifier, each, flipped) for each, flipped in _mirrored(images, weights)] if mirrored else []
        seen = torch.stack(views, 1).cpu()  # (N, V, D)
        yield from (Description(part.sample, row, part.box) for part, row in zip(owners, seen, strict=True))


class _Part(NamedTuple):
    """What is to be described: a picture, or a region in it."""

    sample: Sample
    picture: NDArray[Any]  # (3, H, W)
    image: NDArray[np.float32]  # (3, h, w), as it is seen whole
    region: Tensor | None = None  # bool (H, W)
    box: Region | None = None

    def weights(self, geometry: Geometry) -> Tensor | None:
        """(h, w) in [0, 1] of the image, of a region."""
        if self.region is None:
            return None
        return as_tensor(frame(self.region.numpy()[None], geometry)[0])


def _parts(
    classifier: Classifier,
    samples: Sequence[Sample],
    of: Of,
    view: View,
    unreadable: list[Unreadable] | None,
    advance: Callable[[], None] | None,
) -> Iterator[_Part]:
    waiting = deque(samples)
    for _, found in stream((each.image for each in samples), classifier.geometry, view=view, advance=advance):
        sample = waiting.popleft()
        if isinstance(found, Unreadable):
            if unreadable is None:
                raise BadImage(found.reason)
            unreadable.append(found)
            continue
        part = _Part(sample, found.picture, next(iter(found.inputs)))
        yield from _defects(part, classifier.geometry) if of == "defects" else [part]


def _defects(part: _Part, geometry: Geometry) -> Iterator[_Part]:
    size = (part.picture.shape[-2], part.picture.shape[-1])
    for inside in marked_regions(part.sample, size):
        found = part._replace(region=as_tensor(inside.of_picture(size)), box=inside.box)
        weights = found.weights(geometry)
        if weights is not None and weights.any():
            yield found


def _mirrored(images: Tensor, weights: Sequence[Tensor | None]) -> Iterator[tuple[Tensor, list[Tensor | None]]]:
    """Each view of pictures, and of the weights with them."""
    shown = [None if each is None else [*mirrors(each[None])] for each in weights]
    for number, view in enumerate(mirrors(images)):
        yield view, [None if each is None else each[number][0] for each in shown]


def _look_inside(classifier: Cropper, part: _Part, batch_size: int) -> Tensor:
    """Crops of the picture round the region, or of all of it: (V, D)."""
    whole = torch.ones(part.picture.shape[-2:], dtype=torch.bool)
    crops, regions = classifier.crop(as_tensor(part.picture), whole if part.region is None else part.region)
    there, pairs = device_of(classifier), zip(crops.split(batch_size), regions.split(batch_size), strict=True)
    return torch.cat([classifier.look_inside(crop.to(there), region.to(there)).cpu() for crop, region in pairs])


@torch.no_grad()
def _look(classifier: Classifier, images: Tensor, weights: Sequence[Tensor | None]) -> Tensor:
    there = images.to(device_of(classifier))
    if any(each is None for each in weights):
        return classifier.look(there)
    places = classifier.places(there).cpu()
    return classifier.gather(places, shares(torch.stack([each for each in weights if each is not None]), places))


def shares(weights: Tensor, places: Tensor) -> Tensor:
    """How much of each of the places (N, h, w, C) a region (N, H, W) covers; of one that covers none its nearest."""
    found = F.adaptive_avg_pool2d(weights.to(places), (places.shape[1], places.shape[2]))
    return found + 1e-6 * (found.sum((1, 2), keepdim=True) == 0)
