"""Ground-truth masks as boolean arrays of the size of their picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from blemish.errors import BadImage
from blemish.images import Header, read, read_header, turn, unit
from blemish.notices import notice

LOSSY_THRESHOLD = 128 / 255  # lossy formats surround edges with faint non-zero pixels
_WHITE = 2.0**32  # of samples deeper than 8 bits: whatever they count to, they are above 0 or not


def read_ground_truth(
    masks: Sequence[Path], picture: Path, *, size: tuple[int, int] | None = None
) -> NDArray[np.bool_]:
    """True where any of the masks marks a defect: (H, W) of the upright picture, its `size` if that is known.

    Any colour but black is defect, since some data sets number their defects from 1; in a lossy file it must reach half
    of white. A mask has the size of its upright picture; one of the size in which a picture lies on its side is turned
    upright with it. BadImage names any other, and one that cannot be read.
    """
    shape = size or read_header(picture).upright
    joined = np.zeros(shape, dtype=np.bool_)
    for mask in masks:
        joined |= _marked(mask, picture, shape)
    if masks and not joined.any():
        notice("%s is black everywhere, so it marks no defect, though %s is of one: draw it again", masks[0], picture)
    return joined


def check_fit(masks: Iterable[tuple[Sequence[Path], Path]]) -> None:
    """Raise BadImage for the first mask that is not readable or not one of its picture, by the files' headers.

    A picture that is not readable itself is no fault of its masks.
    """
    for some, picture in masks:
        shape = _shape_of(picture) if some else None
        for mask in some if shape else ():
            assert shape
            _orientation(mask, read_header(mask), picture, shape)


def is_empty(mask: Path) -> bool:
    """Whether a mask marks nothing: how the Kolektor data sets tell good from defective."""
    return not bool(_defect(mask, read_header(mask)).any())


def _shape_of(picture: Path) -> tuple[int, int] | None:
    try:
        return read_header(picture).upright
    except BadImage:
        return None


def _marked(mask: Path, picture: Path, shape: tuple[int, int]) -> NDArray[np.bool_]:
    own = read_header(mask)
    orientation = _orientation(mask, own, picture, shape)
    return turn(_defect(mask, own), orientation)


def _defect(mask: Path, header: Header) -> NDArray[np.bool_]:
    """bool (h, w), upright by the mask's own orientation."""
    brightest = unit(read(mask, white=_WHITE)).max(0)
    return np.asarray(brightest >= LOSSY_THRESHOLD if header.is_lossy else brightest > 0)


def _orientation(mask: Path, own: Header, picture: Path, shape: tuple[int, int]) -> int:
    """By which the mask is turned to lie on its upright picture."""
    if own.upright == shape:
        return 1
    header = read_header(picture)
    if header.is_turned and own.orientation == 1 and own.size == header.size:
        return header.orientation
    (height, width), (high, wide) = own.upright, shape
    raise BadImage(
        f"{mask} is no mask for {picture}: it is {width} x {height}, the picture {wide} x {high}; draw it on a picture "
        "of the same size"
    )
