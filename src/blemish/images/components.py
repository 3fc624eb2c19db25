"""Which pixels of a mask touch each other, by a side or a corner, and where each group of them lies."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from blemish.images.framing import Region


class Components(NamedTuple):
    """Groups of pixels, numbered from 1 on by their first pixel, row by row."""

    labels: NDArray[np.int32]  # (H, W), 0 outside of all
    boxes: list[Region]  # one each


def components(mask: NDArray[np.bool_]) -> Components:
    """Those of a mask (H, W)."""
    height, width = mask.shape
    padded = np.zeros(height * (width + 1) + 1, bool)  # one between the rows keeps their runs apart
    padded[:-1].reshape(height, width + 1)[:, 1:] = mask
    edges = np.flatnonzero(padded[1:] != padded[:-1])
    del padded  # before the labels take four times its room
    starts, ends = edges[::2], edges[1::2]  # of the runs along the rows
    groups = _join(len(starts), *_touching(starts, ends, width + 1))
    first, numbers = np.unique(groups, return_inverse=True)
    labels = np.zeros(mask.shape, np.int32)
    labels[mask] = np.repeat((numbers + 1).astype(np.int32), ends - starts)
    (top, left), right = np.divmod(starts, width + 1), (ends - 1) % (width + 1)
    least, most = np.full(len(first), width), np.zeros((2, len(first)), np.int64)
    np.minimum.at(least, numbers, left)
    np.maximum.at(most[0], numbers, right)
    np.maximum.at(most[1], numbers, top)
    boxes = zip(least.tolist(), top[first].tolist(), *most.tolist(), strict=True)
    return Components(labels, [Region(x, y, right + 1 - x, down + 1 - y) for x, y, right, down in boxes])


def _touching(
    starts: NDArray[np.int64], ends: NDArray[np.int64], width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of runs that touch: one of a row, and one of the row below."""
    first = np.searchsorted(ends + width, starts)
    counts = np.maximum(np.searchsorted(starts + width, ends, side="right") - first, 0)
    below = np.repeat(np.arange(len(starts)), counts)
    at = np.arange(len(below)) - np.repeat(np.cumsum(counts) - counts, counts)
    return first[below] + at, below


def _join(count: int, one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first of all that are joined to each, by pairs (P,), (P,)."""
    root = np.arange(count)
    while (apart := root[one] != root[other]).any():
        pairs = np.stack([root[one[apart]], root[other[apart]]])
        np.minimum.at(root, pairs.max(0), pairs.min(0))
        while ((above := root[root]) != root).any():
            root = above
    return root
