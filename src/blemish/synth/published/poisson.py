"""Seamless cloning by Poisson's equation.

Perez, Gangnet, Blake, "Poisson Image Editing", SIGGRAPH 2003: inside a region the picture takes over the gradients of
a patch, on its border the picture's own values.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import fft, sparse
from scipy.sparse import linalg

from blemish.synth.drawn.scene import Colours, Mask

Gradients = Literal["normal", "mixed"]
ColourValues = NDArray[np.float64]  # (..., C)
NEIGHBOURS = ((-1, 0), (1, 0), (0, -1), (0, 1))


def poisson_blend(destination: Colours, patch: Colours, region: Mask, *, gradients: Gradients = "normal") -> Colours:
    """The destination with the patch's gradients inside `region`; all (H, W, C) and registered, pixels at the rim stay.

    "mixed" takes, for each pair of neighbours, the stronger difference of patch and destination (Eq. 12).
    """
    region = _without_rim(region)
    if not region.any():
        return destination.copy()
    rows, columns = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
    window = np.s_[rows[0] - 1 : rows[-1] + 2, columns[0] - 1 : columns[-1] + 2]
    below, above, inside = destination[window].astype(np.float64), patch[window].astype(np.float64), region[window]
    right = _right_side(below, above, inside, gradients)
    rectangular = bool(inside[1:-1, 1:-1].all())
    solved = _by_sines(right) if rectangular else _by_factors(right, inside)
    blended = destination.copy()
    blended[window][inside] = np.clip(solved.reshape(-1, solved.shape[-1]) if rectangular else solved, 0, 1)
    return blended


def _without_rim(region: Mask) -> Mask:
    inner = np.zeros_like(region)
    inner[1:-1, 1:-1] = region[1:-1, 1:-1]
    return inner


def _right_side(below: ColourValues, above: ColourValues, inside: Mask, gradients: Gradients) -> ColourValues:
    """Sum of the wanted differences to the four neighbours, plus known neighbours; (h - 2, w - 2, C)."""
    total = np.zeros_like(above[1:-1, 1:-1])
    height, width = inside.shape
    for down, across in NEIGHBOURS:
        beside = np.s_[1 + down : height - 1 + down, 1 + across : width - 1 + across]
        wanted, own = above[1:-1, 1:-1] - above[beside], below[1:-1, 1:-1] - below[beside]
        if gradients == "mixed":
            wanted = np.where(np.abs(own) > np.abs(wanted), own, wanted)
        total += wanted + np.where(inside[beside][..., None], 0, below[beside])
    return total


def _by_sines(right: ColourValues) -> ColourValues:
    """On a rectangle sines are the eigenvectors of the Laplacian."""
    height, width = right.shape[:2]
    down = 2 - 2 * np.cos(np.pi * np.arange(1, height + 1) / (height + 1))
    across = 2 - 2 * np.cos(np.pi * np.arange(1, width + 1) / (width + 1))
    waves = fft.dstn(right, type=1, axes=(0, 1)) / (down[:, None, None] + across[None, :, None])
    solved: ColourValues = fft.idstn(waves, type=1, axes=(0, 1))
    return solved


def _by_factors(right: ColourValues, inside: Mask) -> ColourValues:
    """On any region by factorising the sparse Laplacian once for all channels: (pixels of the region, C)."""
    number = np.full(inside.shape, -1)
    number[inside] = np.arange(np.count_nonzero(inside))
    rows, columns = np.nonzero(inside)
    pairs = [
        np.stack([number[inside], number[rows + down, columns + across]])[:, number[rows + down, columns + across] >= 0]
        for down, across in NEIGHBOURS
    ]
    first, second = np.concatenate(pairs, axis=1)
    size = len(rows)
    links = sparse.csc_matrix((np.ones(len(first)), (first, second)), shape=(size, size))
    factors = linalg.splu((4 * sparse.identity(size) - links).tocsc(), permc_spec="MMD_AT_PLUS_A")
    solved: ColourValues = factors.solve(right[inside[1:-1, 1:-1]])
    return solved
