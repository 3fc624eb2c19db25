"""What a classifier sees of pictures on disk, as a stream."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from blemish.blocks.rotation import mirrors
from blemish.data.masks import read_ground_truth
from blemish.encoders.inputs import device_of
from blemish.errors import BadImage, BadInput
from blemish.images import Region, frame, keyed_batches
from blemish.inspection import WHOLE, Unreadable, View, stream
from blemish.types import Classifier, Sample

Of = Literal["pictures", "defects"]
"""What is named: whole pictures, or each of the regions that their masks mark."""
SMALLEST = 4
"""Pixels of a region of a mask, at least, that counts as a defect of its own."""


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

    mirrored: each in four views, mirrored left to right, top to bottom and both ways as well.
    """
    waiting = deque(samples)

    def inputs() -> Iterator[tuple[tuple[Sample, _Part | None], Tensor]]:
        for _, found in stream((each.image for each in samples), classifier.geometry, view=view, advance=advance):
            sample = waiting.popleft()
            if isinstance(found, Unreadable):
                if unreadable is None:
                    raise BadImage(found.reason)
                unreadable.append(found)
                continue
            image = next(iter(found.inputs))
            size = (found.picture.shape[-2], found.picture.shape[-1])
            parts: Sequence[_Part | None] = _parts(sample, size, classifier, view) if of == "defects" else [None]
            yield from (((sample, part), image) for part in parts)

    for owners, images in keyed_batches(inputs(), batch_size):
        weights = [None if part is None else part.weights for _, part in owners]
        views = [_look(classifier, images, weights)]
        views += [_look(classifier, each, flipped) for each, flipped in _mirrored(images, weights)] if mirrored else []
        seen = torch.stack(views, 1).cpu()  # (N, V, D)
        for (sample, part), row in zip(owners, seen, strict=True):
            yield Description(sample, row, part and part.box)


class _Part(NamedTuple):
    weights: Tensor  # (h, w) in [0, 1], of the input
    box: Region


def _parts(sample: Sample, size: tuple[int, int], classifier: Classifier, view: View) -> list[_Part]:
    if view != WHOLE:
        raise BadInput("defects by their masks are looked at in whole pictures: leave out tiles and regions")
    if not sample.masks:
        return []
    labels, count = ndimage.label(read_ground_truth(sample.masks, sample.image, size=size), structure=np.ones((3, 3)))
    found = []
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        inside = labels == number
        if inside[place].sum() < SMALLEST and count > 1:
            continue
        down, right = place
        box = Region(right.start, down.start, right.stop - right.start, down.stop - down.start)
        weights = frame(torch.from_numpy(inside)[None].float().expand(3, -1, -1), classifier.geometry)[0].clamp(0, 1)
        found += [_Part(weights, box)] if weights.any() else []
    return found


def _mirrored(images: Tensor, weights: Sequence[Tensor | None]) -> Iterator[tuple[Tensor, list[Tensor | None]]]:
    """Each view of pictures, and of the weights with them."""
    shown = [None if each is None else [*mirrors(each[None])] for each in weights]
    for number, view in enumerate(mirrors(images)):
        yield view, [None if each is None else each[number][0] for each in shown]


@torch.no_grad()
def _look(classifier: Classifier, images: Tensor, weights: Sequence[Tensor | None]) -> Tensor:
    there = images.to(device_of(classifier))
    if any(each is None for each in weights):
        return classifier.look(there)
    places = classifier.places(there)
    return classifier.gather(places, shares(torch.stack([each for each in weights if each is not None]), places))


def shares(weights: Tensor, places: Tensor) -> Tensor:
    """How much of each of the places (N, h, w, C) a region (N, H, W) covers; of one that covers none its nearest."""
    found = F.adaptive_avg_pool2d(weights.to(places), (places.shape[1], places.shape[2]))
    return found + 1e-6 * (found.sum((1, 2), keepdim=True) == 0)
