"""Ground-truth masks as boolean arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from blemish.errors import BadImage

LOSSY_THRESHOLD = 128  # JPEG surrounds edges with faint non-zero pixels


def read_ground_truth(path: Path, *, size: tuple[int, int] | None = None) -> NDArray[np.bool_]:
    """True where the defect is: (H, W), resized to `size` (H, W) by the nearest pixel when one is given.

    Any non-zero colour is defect, since some data sets number their defects from 1; in a JPEG it must reach 128 of 255.
    Transparency is ignored. BadImage names a file that cannot be read.
    """
    try:
        with Image.open(path) as picture:
            lossy = picture.format == "JPEG"
            mask = _nonzero(picture, LOSSY_THRESHOLD if lossy else 1)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise BadImage(
            f"the mask {path} cannot be read ({error}): replace it by a PNG of the picture's size"
        ) from error
    if size is None or mask.shape == tuple(size):
        return mask
    resized = Image.fromarray(mask).resize((size[1], size[0]), Image.Resampling.NEAREST)
    return np.asarray(resized, dtype=bool)


def _nonzero(picture: Image.Image, threshold: int) -> NDArray[np.bool_]:
    if picture.mode in ("P", "PA", "RGBA", "LA", "CMYK", "YCbCr", "HSV", "LAB"):
        picture = picture.convert("RGB")
    values = np.asarray(picture)
    if values.dtype == np.bool_:
        return values.copy()
    reached: NDArray[np.bool_] = (values.max(axis=2) if values.ndim == 3 else values) >= threshold
    return reached


def is_empty(path: Path) -> bool:
    """Whether a mask marks nothing: how the Kolektor data sets tell good from defective."""
    return not read_ground_truth(path).any()
