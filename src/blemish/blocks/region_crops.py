"""Squares of a picture round a region, near and far and beside it: the views of MVREC."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from blemish.images import Region

_STEPS = (-1, 0, 1)
"""Thirds of its side by which a crop lies beside the middle of the region."""


def box_of(region: Tensor) -> Region:
    """The smallest rectangle round the True pixels of (H, W), of which there is one at least."""
    rows, columns = (region.any(axis).nonzero()[:, 0] for axis in (1, 0))
    y, x = int(rows[0]), int(columns[0])
    return Region(x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y)


def crop_sizes(region: Tensor, sizes: Sequence[int]) -> list[tuple[int, int]]:
    """(width, height) of squares of `sizes` pixels; of as many parts of the picture (H, W), from a half of its sides to
    all of them, where the region is all of it.
    """
    if not region.all():
        return [(size, size) for size in sizes]
    (height, width), last = region.shape, max(1, len(sizes) - 1)
    parts = [1 - step / last / 2 for step in range(len(sizes))]
    return [(max(1, round(part * width)), max(1, round(part * height))) for part in reversed(parts)]


def crop_boxes(box: Region, sizes: Sequence[tuple[int, int]]) -> list[Region]:
    """Nine of each size, a third of the side apart, whose middle one has the middle of the box in its middle.

    They may reach beyond the picture.
    """
    x, y = (2 * box.x + box.width) // 2, (2 * box.y + box.height) // 2
    return [
        Region(x + across * width // 3 - width // 2, y + down * height // 3 - height // 2, width, height)
        for width, height in sizes
        for down in _STEPS
        for across in _STEPS
    ]


def cut_with_border(picture: Tensor, box: Region) -> Tensor:
    """The part (..., height, width) of (..., H, W), 0 outside of it."""
    found = picture.new_zeros((*picture.shape[:-2], box.height, box.width))
    high, wide = picture.shape[-2:]
    top, left, bottom, right = max(box.y, 0), max(box.x, 0), min(box.y + box.height, high), min(box.x + box.width, wide)
    if top < bottom and left < right:
        inside = picture[..., top:bottom, left:right]
        found[..., top - box.y : bottom - box.y, left - box.x : right - box.x] = inside
    return found
