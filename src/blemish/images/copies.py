"""Which files hold the same picture: copies, and the picture saved once more in another format or quality.

A lossy format keeps the mean brightness of every few pixels nearly as it was, which a flaw drawn into it does not;
and detail in which parts that lie alike under one camera differ, if only by its noise.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blemish.errors import BadImage
from blemish.files import sha256_of
from blemish.images.framing import scale
from blemish.images.placing import area
from blemish.images.reading import read, unit
from blemish.images.streams import decode

CELL = 8
"""Pixels of a side whose mean brightness is compared."""
GLANCE, COARSE = 32, 4
"""Cells of a side of what is kept of each picture, a kilobyte; and of that by which pictures are told apart first."""
NEAR, NEAR_AT_A_GLANCE = 4, 8
"""Of 255: saving as a JPEG of quality 50 or a WebP of 80 changed the mean of a cell by 3.6 at most; at a glance cells
may be smaller."""
MIDDLE = 256
"""Pixels of a side of the middle, whose detail is looked at."""
DETAILS, SEVERAL, ALIKE = 1024, 4, 0.3
"""Pixels of which detail is kept, two kilobytes; from how many pictures what they share is known; and the correlation
from which on two have the same detail: JPEGs of quality 75 and more of camera noise alone reach 0.5."""


def same_pictures(paths: Sequence[Path]) -> list[list[int]]:
    """Numbers of the files of each picture that is there twice or more; what cannot be read is there once."""
    first = np.arange(len(paths))  # of the files that are the same picture as each
    for numbers, glances in _look(paths):
        for one, copy in ((numbers[at], numbers[other]) for at, other in _near(*glances)):
            if first[one] != first[copy] and _are_same(paths[one], paths[copy]):
                low, high = sorted((first[one], first[copy]))
                first[first == high] = low
    groups = (np.flatnonzero(first == number).tolist() for number in np.unique(first))
    return [group for group in groups if len(group) > 1]


def _near(glances: NDArray[np.uint8], details: NDArray[np.float16]) -> Iterator[tuple[int, int]]:
    """Pairs that are alike at a glance (N, GLANCE, GLANCE), and in what their detail has beyond all that are."""
    parts = glances.reshape(len(glances), COARSE, GLANCE // COARSE, COARSE, GLANCE // COARSE)
    small = parts.mean((2, 4)).reshape(len(glances), -1)
    widest = small[:, np.ptp(small, 0).argmax()]
    order = np.argsort(widest)
    first = np.searchsorted(widest[order], widest - NEAR)
    last = np.searchsorted(widest[order], widest + NEAR, side="right")
    for at, around in enumerate(small):
        near = np.sort(order[first[at] : last[at]])
        near = near[np.abs(small[near] - around).max(1) <= NEAR]
        near = near[np.abs(glances[near] - glances[at].astype(np.int16)).max((1, 2)) <= NEAR_AT_A_GLANCE]
        detail = details[near].astype(np.float32)
        detail -= detail.mean(0) if len(near) >= SEVERAL else 0
        own = detail[near == at][0]
        alike = detail @ own >= ALIKE * np.linalg.norm(detail, axis=1) * np.linalg.norm(own)
        yield from ((int(other), at) for other in near[alike] if other < at)


def _look(paths: Sequence[Path]) -> Iterator[tuple[list[int], list[NDArray[Any]]]]:
    """The pictures of each size: their numbers, each at a glance (N, GLANCE, GLANCE), and detail (N, DETAILS)."""
    sizes = defaultdict[tuple[int, ...], dict[int, _Glance]](dict)
    for number, (_, found) in enumerate(decode(paths, _glance)):
        if not isinstance(found, BadImage):
            sizes[found.size][number] = found
    for glances in sizes.values():
        yield list(glances), [np.stack(part) for part in zip(*(each[1:] for each in glances.values()), strict=True)]


class _Glance(NamedTuple):
    size: tuple[int, ...]
    cells: NDArray[np.uint8]
    detail: NDArray[np.float16]  # brightness of 5 x 5 pixels less that of 15 x 15, at some pixels


def _glance(path: Path) -> _Glance:
    bright = _brightness(read(path)) * 255
    cells = np.rint(scale(bright, (GLANCE, GLANCE), area)).astype(np.uint8)
    top, left = (max(0, side - MIDDLE) // 2 for side in bright.shape)
    middle = bright[top : top + MIDDLE, left : left + MIDDLE]
    near, far = (_around(len(middle), side) @ middle @ _around(middle.shape[1], side).T for side in (5, 15))
    rng = np.random.default_rng(0)
    chosen = rng.integers(middle.size, size=DETAILS)
    return _Glance(bright.shape, cells, (near - far).reshape(-1)[chosen].astype(np.float16))


def _around(length: int, side: int) -> NDArray[np.float64]:
    """(length, length), which takes the mean of what lies less than half of `side` away."""
    places = np.arange(length)
    near = np.abs(places[:, None] - places) <= side // 2
    return np.asarray(near / near.sum(1, keepdims=True))


def _are_same(one: Path, other: Path) -> bool:
    if one.stat().st_size == other.stat().st_size and sha256_of(one) == sha256_of(other):
        return True
    first, second = (_brightness(read(path)) for path in (one, other))
    rows, columns = (np.arange(0, side, CELL) for side in first.shape)
    apart = np.add.reduceat(np.add.reduceat(first - second, rows, 0), columns, 1)
    high, wide = (np.diff(starts, append=side) for starts, side in zip((rows, columns), first.shape, strict=True))
    return bool((np.abs(apart) <= NEAR / 255 * high[:, None] * wide).all())


def _brightness(picture: NDArray[Any]) -> NDArray[np.float32]:
    """(H, W) in [0, 1]."""
    return np.asarray(unit(picture).mean(0))
