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

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from blemish.images.reading import unit

SIDE, COARSEST, FINEST = 64, 2, 16
"""Cells of a side, and the waves across a picture that are compared: no gradients of light, and little noise."""
FARTHEST = 8
"""Cells by which a part may have moved, tried by the half; farther, any two spots on plain parts would be the same."""
STANDS_OUT, LEAST_SPREAD = 8.0, 0.05
"""Spreads above the centre that make a pair stand out; and the least spread, which chance alone nearly makes."""
MORE_THAN_HALF, CERTAIN = 0.5, 0.95
"""A pair that agrees in less is never the same part; one that agrees in more always counts as the same."""


def fingerprint(picture: Tensor) -> Tensor:
    """The phases of a picture (3, H, W), of which nothing can be seen: complex (33, 17), waves down -16 to 16, across 0
    to 16."""
    cells = F.adaptive_avg_pool2d(unit(picture).mean(0, keepdim=True), SIDE)[0]
    window = torch.hann_window(SIDE + 2, periodic=False)[1:-1]
    down, across = _frequencies()
    places = torch.arange(SIDE)
    windowed = ((cells - cells.mean()) * window * window[:, None]).to(torch.complex64)
    waves = _turns(-down, places) @ windowed @ _turns(-across, places).T
    radius = torch.hypot(down[:, None].float(), across.float())
    compared = (radius >= COARSEST) & (radius <= FINEST) & (waves.abs() > 1e-6)
    phases = torch.where(compared, waves / waves.abs().clamp_min(1e-6), 0)
    return phases / (phases.abs().square() * _weights()).sum().sqrt().clamp_min(1e-6)


def likeness(one: Tensor, others: Tensor) -> Tensor:
    """Shares of structure that agree after the best shift, 1 for the same picture: (33, 17) and (N, 33, 17) -> (N,)."""
    down, across = _frequencies()
    shifts = torch.arange(-2 * FARTHEST, 2 * FARTHEST + 1) / 2
    agreeing = others * one.conj() * _weights()
    return (_turns(shifts, down) @ agreeing @ _turns(across, shifts)).real.flatten(1).amax(1)


def _frequencies() -> tuple[Tensor, Tensor]:
    return torch.arange(-FINEST, FINEST + 1), torch.arange(FINEST + 1)


def _weights() -> Tensor:
    """A wave across stands for its mirror image too."""
    return torch.tensor([1.0] + [2.0] * FINEST)


def _turns(waves: Tensor, places: Tensor) -> Tensor:
    """exp(2 pi i wave place / side): (W,) and (P,) -> (W, P)."""
    return torch.exp(2j * math.pi / SIDE * (waves[:, None] * places))


def same_parts(fingerprints: Sequence[Tensor], digests: Sequence[str]) -> list[list[int]]:
    """Numbers of the pictures of each part, in the order of their first; equal digests are the same file.

    A part seen in pictures 1 and 2, and in 2 and 3, is one part in all three.
    """
    if not fingerprints:
        return []
    stacked = torch.stack(list(fingerprints))
    pairs = torch.zeros(len(stacked), len(stacked))
    for row, one in enumerate(stacked):
        pairs[row, : row + 1] = likeness(one, stacked[: row + 1])
    rows, columns = torch.tril_indices(len(stacked), len(stacked), -1)
    names = np.asarray(digests)
    links = (pairs >= same_part_threshold(pairs[rows, columns])).numpy() | (names == names[:, None])
    links |= links.T
    first = np.arange(len(links))
    while ((lower := np.where(links, first, len(links)).min(1)) != first).any():  # through any number of others
        first = lower
    return [np.flatnonzero(first == number).tolist() for number in np.unique(first)]


def same_part_threshold(pairs: Tensor) -> float:
    """The likeness (P,) of all pairs -> that from which on a pair is the same part.

    As correlations are, they are made normal by atanh; the centre and the spread of different parts come from the lower
    quarter, which pairs of the same part do not reach.
    """
    if not len(pairs):
        return CERTAIN
    normal = torch.atanh(pairs.clamp(-0.999999, 0.999999))
    low, quarter = (float(normal.kthvalue(1 + int(share * (len(normal) - 1))).values) for share in (0.05, 0.25))
    spread = max((quarter - low) / (1.645 - 0.674), LEAST_SPREAD)
    centre = quarter + 0.674 * spread
    return min(max(math.tanh(centre + STANDS_OUT * spread), MORE_THAN_HALF), CERTAIN)
