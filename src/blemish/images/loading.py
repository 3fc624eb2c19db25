"""From a file to what a detector sees."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import interpolate

from blemish.errors import BadImage
from blemish.images.reading import MAX_PIXELS, read, unit
from blemish.images.regions import Region, crop, fill
from blemish.types import Geometry


class Loaded(NamedTuple):
    """A picture ready for a detector."""

    image: Tensor  # float32 (3, h, w) in [0, 1]
    size: tuple[int, int]  # (H, W) of the upright original, what `place` takes


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """float32 (3, h, w) in [0, 1]: bicubic with antialiasing; 8-bit pictures stay 8-bit on the way, as in Pillow."""
    if image.shape[-2:] == size:
        return unit(image)
    small = interpolate(image[None], size=size, mode="bicubic", antialias=True, align_corners=False)[0]
    return unit(small).clamp_(0, 1)


def load(
    path: str | Path,
    geometry: Geometry,
    *,
    region: Region | None = None,
    mask: Tensor | None = None,
    max_pixels: int = MAX_PIXELS,
    white: float | None = None,
) -> Loaded:
    """Read, cut out the region, blank out what the bool mask (H, W) of the whole picture leaves out, resize."""
    image = read(path, max_pixels=max_pixels, white=white)
    height, width = image.shape[-2:]
    _refuse_misfit(Path(path), (height, width), region, mask)
    if region is not None:
        image = crop(image, region)
    if mask is not None:
        image = fill(image, mask if region is None else crop(mask, region))
    return Loaded(resize(image, geometry.size(*image.shape[-2:])), (height, width))


def _refuse_misfit(path: Path, size: tuple[int, int], region: Region | None, mask: Tensor | None) -> None:
    """BadImage, not BadInput: among many pictures, one of another size is that picture's fault."""
    of = f"{path} of {size[1]} x {size[0]}"
    if region is not None and not region.fits(*size):
        raise BadImage(f"{of}: the region {region} is not inside it: make it smaller, or leave this picture out")
    if mask is not None and mask.shape != size:
        raise BadImage(f"{of}: the mask is {mask.shape[1]} x {mask.shape[0]}: draw the mask on a picture of this size")
    if mask is not None and not (mask if region is None else crop(mask, region)).any():
        raise BadImage(f"{of}: the mask leaves nothing to inspect: paint white what to inspect inside the region")
