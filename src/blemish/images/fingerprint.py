"""Which pictures show the same part: copies, re-encoded copies, and shots of it a moment or an exposure apart.

Phase correlation (Kuglin & Hines, "The phase correlation image alignment method", 1975) asks what share of two
pictures' structure, at every scale alike, agrees after the best shift. What all parts of a product share, their design,
agrees between any two, so how alike different parts are is read from the pictures themselves: the same part stands out
from it. Where nothing else is shown than one part there is nothing to stand out from, and only shots that hardly moved
are recognised; nor are shots of a part that was turned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.images.framing import scale
from blemish.images.placing import area
from blemish.images.reading import unit

SIDE, COARSEST, FINEST = 64, 2, 16
"""Cells of a side, and the waves across a picture that are compared: no gradients of light, and little noise."""
FARTHEST = 8
"""Cells by which a part may have moved, tried by the half; farther, any two spots on plain parts would be the same."""
STANDS_OUT, LEAST_SPREAD = 8.0, 0.05
"""Spreads above the centre that make a pair stand out; and the least spread, which chance alone nearly makes."""
MORE_THAN_HALF, CERTAIN = 0.5, 0.95
"""A pair that agrees in less is never the same part; one that agrees in more always counts as the same."""


def fingerprint(picture: NDArray[Any]) -> NDArray[np.complex64]:
    """The phases of a picture (3, H, W), of which nothing can be seen: complex (33, 17), waves down -16 to 16, across 0
    to 16."""
    cells = scale(unit(picture).mean(0), (SIDE, SIDE), area)
    window = np.hanning(SIDE + 2)[1:-1].astype(np.float32)
    down, across = _frequencies()
    places = np.arange(SIDE)
    windowed = ((cells - cells.mean()) * window * window[:, None]).astype(np.complex64)
    waves = _turns(-down, places) @ windowed @ _turns(-across, places).T
    radius = np.hypot(down[:, None], across)
    compared = (radius >= COARSEST) & (radius <= FINEST) & (np.abs(waves) > 1e-6)
    phases = np.where(compared, waves / np.maximum(np.abs(waves), 1e-6), 0)
    power = float((np.square(np.abs(phases)) * _weights()).sum())
    return np.asarray(phases / max(math.sqrt(power), 1e-6), np.complex64)


def likeness(one: NDArray[np.complex64], others: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Shares of structure that agree after the best shift, 1 for the same picture: (33, 17) and (N, 33, 17) -> (N,)."""
    down, across = _frequencies()
    shifts = np.arange(-2 * FARTHEST, 2 * FARTHEST + 1) / 2
    agreeing = others * one.conj() * _weights()
    found = (_turns(shifts, down) @ agreeing @ _turns(across, shifts)).real
    return np.asarray(found.reshape(len(others), -1).max(1))


def _frequencies() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.arange(-FINEST, FINEST + 1), np.arange(FINEST + 1)


def _weights() -> NDArray[np.float32]:
    """A wave across stands for its mirror image too."""
    return np.array([1] + [2] * FINEST, np.float32)


def _turns(waves: NDArray[Any], places: NDArray[Any]) -> NDArray[np.complex64]:
    """exp(2 pi i wave place / side): (W,) and (P,) -> (W, P)."""
    return np.asarray(np.exp(2j * math.pi / SIDE * (waves[:, None] * places)), np.complex64)


def same_parts(fingerprints: Sequence[NDArray[np.complex64]], digests: Sequence[str]) -> list[list[int]]:
    """Numbers of the pictures of each part, in the order of their first; equal digests are the same file.

    A part seen in pictures 1 and 2, and in 2 and 3, is one part in all three.
    """
    if not fingerprints:
        return []
    stacked = np.stack(fingerprints)
    pairs = np.zeros((len(stacked), len(stacked)), np.float32)
    for row, one in enumerate(stacked):
        pairs[row, : row + 1] = likeness(one, stacked[: row + 1])
    rows, columns = np.tril_indices(len(stacked), -1)
    names = np.asarray(digests)
    links = (pairs >= same_part_threshold(pairs[rows, columns])) | (names == names[:, None])
    links |= links.T
    first = np.arange(len(links))
    while ((lower := np.where(links, first, len(links)).min(1)) != first).any():  # through any number of others
        first = lower
    return [np.flatnonzero(first == number).tolist() for number in np.unique(first)]


def same_part_threshold(pairs: NDArray[np.float32]) -> float:
    """The likeness (P,) of all pairs -> that from which on a pair is the same part.

    As correlations are, they are made normal by atanh; the centre and the spread of different parts come from the lower
    quarter, which pairs of the same part do not reach.
    """
    if not len(pairs):
        return CERTAIN
    normal = np.sort(np.arctanh(np.clip(pairs, -0.999999, 0.999999)))
    low, quarter = (float(normal[int(share * (len(normal) - 1))]) for share in (0.05, 0.25))
    spread = max((quarter - low) / (1.645 - 0.674), LEAST_SPREAD)
    centre = quarter + 0.674 * spread
    return min(max(math.tanh(centre + STANDS_OUT * spread), MORE_THAN_HALF), CERTAIN)
