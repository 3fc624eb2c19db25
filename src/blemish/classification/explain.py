"""Where in a picture a classifier saw its types, as maps of the whole picture."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blemish.blocks.explanations import explain_types, roll_out_places
from blemish.classification.describe import shares
from blemish.encoders.inputs import as_tensor, device_of
from blemish.images import Region, frame, place, places_of
from blemish.types import Classifier, Cropper, Encoder

ATTENTION = "attention"
"""What a map is called that is of no type."""


def explain_picture(
    classifier: Classifier, picture: NDArray[Any], box: Region | None = None
) -> dict[str, NDArray[np.float32]]:
    """Maps (H, W) in [0, 1] of what in a picture (3, H, W), or in a region of it, spoke for each type: Grad-CAM.

    They share one scale, of which 1 is the highest of all. NaN is what was not seen. Of a classifier that looks at
    crops, whose places say nothing, where its transformer attended instead; nothing of any other, or where no place
    speaks for any type.
    """
    image, encoder = as_tensor(frame(picture, classifier.geometry))[None], getattr(classifier, "encoder", None)
    if not isinstance(classifier, Cropper):
        with torch.no_grad():
            places = classifier.places(image.to(device_of(classifier))).cpu()
        weights = _weights(classifier, picture, box, places)
        found, names = explain_types(classifier, places, weights)[0], classifier.types
    elif encoder is not None and "seams" in encoder.can:
        found, names = _attention(encoder, image)[None], (ATTENTION,)
    else:
        return {}
    if not found.isfinite().all() or not found.any():
        return {}
    return dict(zip(names, _placed((found / found.max()).numpy(), classifier, picture), strict=True))


def _weights(classifier: Classifier, picture: NDArray[Any], box: Region | None, places: Tensor) -> Tensor | None:
    if box is None:
        return None
    inside = np.zeros(picture.shape[-2:], np.float32)
    inside[box.y : box.y + box.height, box.x : box.x + box.width] = 1
    return shares(as_tensor(frame(inside[None], classifier.geometry)), places)


@torch.no_grad()
def _attention(encoder: Encoder, image: Tensor) -> Tensor:
    size = image.shape[2] // encoder.patch_size, image.shape[3] // encoder.patch_size
    return roll_out_places(cast(Any, encoder).attentions(image.to(device_of(encoder))), size)[0].cpu()


def _placed(grids: NDArray[Any], classifier: Classifier, picture: NDArray[Any]) -> list[NDArray[np.float32]]:
    """Grids (K, h, w) as maps of the picture."""
    size = (picture.shape[-2], picture.shape[-1])
    seen = places_of(np.moveaxis(grids, 0, -1), classifier.geometry, size, (0, 0))
    return [place(each, size, region=seen.region) for each in np.moveaxis(seen.grid, -1, 0)]
