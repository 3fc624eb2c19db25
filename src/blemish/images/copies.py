"""Which files hold the same picture: copies, and the picture saved once more in another format or quality.

A lossy format keeps the mean brightness of every few pixels nearly as it was, and another picture of the same part, or
the picture with a flaw drawn into it, does not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree
from torch import Tensor
from torch.nn import functional as F

from blemish.errors import BadImage
from blemish.files import sha256_of
from blemish.images.reading import read, unit
from blemish.images.streams import decode

CELL = 8
"""Pixels of a side whose mean brightness is compared."""
GLANCE, COARSE = 32, 4
"""Cells of a side of what is kept of each picture, a kilobyte; and of that by which pictures are told apart first."""
NEAR, NEAR_AT_A_GLANCE = 4, 8
"""Of 255: saving as a JPEG of quality 50 or a WebP of 80 changed the mean of a cell by 3.6 at most; at a glance cells
may be smaller."""


def same_pictures(paths: Sequence[Path]) -> list[list[int]]:
    """Numbers of the files of each picture that is there twice or more; what cannot be read is there once."""
    first = np.arange(len(paths))  # of the files that are the same picture as each
    for numbers, glances in _look(paths):
        for one, copy in ((numbers[at], numbers[other]) for at, other in _near(glances)):
            if first[one] != first[copy] and _are_same(paths[one], paths[copy]):
                low, high = sorted((first[one], first[copy]))
                first[first == high] = low
    groups = (np.flatnonzero(first == number).tolist() for number in np.unique(first))
    return [group for group in groups if len(group) > 1]


def _near(glances: NDArray[np.uint8]) -> Iterator[tuple[int, int]]:
    """Pairs that are alike at a glance (N, GLANCE, GLANCE)."""
    parts = glances.reshape(len(glances), COARSE, GLANCE // COARSE, COARSE, GLANCE // COARSE)
    small = parts.mean((2, 4)).reshape(len(glances), -1)
    tree = KDTree(small)
    for at, around in enumerate(small):
        near = np.array(sorted(tree.query_ball_point(around, NEAR, p=np.inf)))
        near = near[near < at]
        apart = np.abs(glances[near] - glances[at].astype(np.int16)).max((1, 2))
        yield from ((int(other), at) for other in near[apart <= NEAR_AT_A_GLANCE])


def _look(paths: Sequence[Path]) -> list[tuple[list[int], NDArray[np.uint8]]]:
    """The pictures of each size: their numbers, and each at a glance (N, GLANCE, GLANCE)."""
    sizes = defaultdict[tuple[int, ...], dict[int, NDArray[np.uint8]]](dict)
    for number, (_, found) in enumerate(decode(paths, _glance)):
        if not isinstance(found, BadImage):
            sizes[found[0]][number] = found[1]
    return [(list(found), np.stack(list(found.values()))) for found in sizes.values()]


def _glance(path: Path) -> tuple[tuple[int, ...], NDArray[np.uint8]]:
    picture = read(path)
    cells = F.adaptive_avg_pool2d(_brightness(picture), GLANCE)[0] * 255
    return tuple(picture.shape[-2:]), cells.round().byte().numpy()


def _are_same(one: Path, other: Path) -> bool:
    if one.stat().st_size == other.stat().st_size and sha256_of(one) == sha256_of(other):
        return True
    first, second = (_brightness(read(path)) for path in (one, other))
    apart = F.avg_pool2d(first - second, CELL, ceil_mode=True, count_include_pad=False)
    return bool(apart.abs().max() <= NEAR / 255)


def _brightness(picture: Tensor) -> Tensor:
    """(1, H, W) in [0, 1]."""
    return unit(picture).mean(0, keepdim=True)
