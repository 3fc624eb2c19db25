"""A region that a detector has found -> what a classifier sees of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from blemish.classification.regions import Inside, find_places
from blemish.encoders.inputs import as_tensor, device_of
from blemish.images import Places
from blemish.types import Classifier, Cropper


@torch.no_grad()
def see_regions(
    classifier: Classifier, picture: NDArray[Any], places: Sequence[Places], regions: Sequence[Inside]
) -> Tensor:
    """What the classifier sees of each region of a picture (3, H, W): (R, V, D).

    In one view, of the part of the picture that holds most of the region; or, if it is a `Cropper`, in its crops.
    """
    if isinstance(classifier, Cropper):
        whole = as_tensor(picture)
        return torch.stack([_see_crops(classifier, whole, each) for each in regions])
    return torch.stack([_see(classifier, *find_places(places, each)) for each in regions])[:, None]


def _see_crops(classifier: Cropper, picture: Tensor, inside: Inside) -> Tensor:
    region = as_tensor(inside.of_picture((picture.shape[-2], picture.shape[-1])))
    crops, shown = classifier.crop(picture, region)
    home = device_of(classifier)
    return classifier.look_inside(crops.to(home), shown.to(home)).cpu()


def _see(classifier: Classifier, grid: NDArray[Any], core: NDArray[Any]) -> Tensor:
    return classifier.gather(as_tensor(grid[None, ..., :-1]), as_tensor(core[None]))[0]
