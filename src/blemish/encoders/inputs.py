"""What every image tower asks of its arguments, and the pixel statistics the published ones were trained with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from blemish.errors import BadInput

Normalization = Literal["clip", "imagenet", "half"]
Statistics = tuple[tuple[float, float, float], tuple[float, float, float]]

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)
STATISTICS: dict[Normalization, Statistics] = {
    "clip": (CLIP_MEAN, CLIP_STD),
    "imagenet": (IMAGENET_MEAN, IMAGENET_STD),
    "half": (HALF, HALF),
}


def check_images(images: Tensor, multiple: int) -> None:
    """Raises BadInput for anything that is not floating (N, 3, H, W) with sides in whole multiples."""
    if not images.is_floating_point():
        raise BadInput(f"expected images as floats in [0, 1], got {images.dtype}: divide 8-bit pixels by 255 first")
    if images.ndim != 4 or images.shape[1] != 3 or images.shape[2] % multiple or images.shape[3] % multiple:
        raise BadInput(
            f"expected images (N, 3, H, W) with H and W multiples of {multiple}, got {tuple(images.shape)}: resize "
            "them with blemish.images.resize"
        )


def check_layers(layers: Sequence[int], depth: int) -> None:
    """Raises BadInput for layers outside 1..depth."""
    if unknown := [layer for layer in layers if not 1 <= layer <= depth]:
        raise BadInput(f"layers {unknown} do not exist: this encoder has layers 1 to {depth}")
