"""From a picture to a detector's input by its geometry, and the way back."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from blemish.errors import BadInput
from blemish.images.reading import resize
from blemish.images.regions_of_interest import Region
from blemish.types import Encoder, Geometry


def geometry(
    encoder: Encoder,
    image_size: int | None = None,
    *,
    keep_aspect: bool = False,
    crop: int | None = None,
    pad: bool = False,
) -> Geometry:
    """Inputs of whole patches of that encoder, at its own size if no other is given; raises BadInput."""
    side, multiple = image_size or encoder.image_size, encoder.patch_size
    if crop is not None and not (multiple <= crop <= side and crop % multiple == 0):
        raise BadInput(f"crop={crop}: give a multiple of {multiple} pixels that is no larger than image_size={side}")
    if pad and (keep_aspect or crop is not None):
        raise BadInput("a picture that is padded to a square is neither cropped nor of another shape: choose one")
    return Geometry(side, keep_aspect, multiple, crop, pad)


def frame(image: Tensor, shape: Geometry) -> Tensor:
    """float32 (3, h, w) of a picture (3, H, W): what a detector of that geometry sees; padding repeats the edge."""
    found = shape.frame(*image.shape[-2:])
    resized, (y, x, height, width) = resize(image, found.size), found.window
    if min(y, x) < 0:
        rest = (-x, width + x - found.size[1], -y, height + y - found.size[0])
        resized = F.pad(resized[None], rest, mode="replicate")[0]
    return resized[:, max(y, 0) :, max(x, 0) :][:, :height, :width]


def matching_regions(shape: Geometry, height: int, width: int) -> tuple[Region, Region]:
    """Which part of the input is picture and no padding, and which part of a picture of that size it shows."""
    (high, wide), (y, x, rows, columns) = shape.frame(height, width)
    inside = Region(max(-x, 0), max(-y, 0), min(columns, wide), min(rows, high))
    left, top = round(max(x, 0) * width / wide), round(max(y, 0) * height / high)
    right, bottom = round(min(x + columns, wide) * width / wide), round(min(y + rows, high) * height / high)
    return inside, Region(left, top, max(right - left, 1), max(bottom - top, 1))
