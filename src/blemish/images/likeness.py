"""Which pictures show the same part: copies, re-encoded copies, and shots of it a moment or an exposure apart.

Phase correlation (Kuglin & Hines, "The phase correlation image alignment method", 1975) asks what share of two
pictures' structure, at every scale alike, agrees after the best shift. What all parts of a product share, their design,
agrees between any two, so how alike different parts are is read from the pictures themselves: the same part stands out
from it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish.images.reading import unit

SIDE, COARSEST, FINEST = 64, 2, 16
"""Cells of a side, and the waves across a picture that are compared: no gradients of light, and little noise; the
finest spans four cells, so that a shift by half a cell costs little."""
FARTHEST = 8
"""Cells by which a part may have moved; farther, any two spots on plain parts would be the same."""
STANDS_OUT, LEAST_SPREAD = 8.0, 0.05
"""Spreads above the centre that make a pair stand out; and the least spread, which chance alone nearly makes."""
MORE_THAN_HALF, CERTAIN = 0.5, 0.95
"""A pair that agrees in less is never the same part; one that agrees in more always counts as the same."""


def fingerprint(picture: Tensor) -> Tensor:
    """The phases of a picture (3, H, W), of which nothing can be seen: complex (64, 33), its squares adding up to 1."""
    cells = F.adaptive_avg_pool2d(unit(picture).mean(0, keepdim=True), SIDE)[0]
    window = torch.hann_window(SIDE + 2, periodic=False)[1:-1]
    waves = torch.fft.rfft2((cells - cells.mean()) * window * window[:, None])
    down, across = torch.fft.fftfreq(SIDE, 1 / SIDE)[:, None], torch.fft.rfftfreq(SIDE, 1 / SIDE)
    radius = torch.hypot(down, across)
    compared = (radius >= COARSEST) & (radius <= FINEST) & (waves.abs() > 1e-6)
    phases = torch.where(compared, waves / waves.abs().clamp_min(1e-6), 0)
    return phases / _energy(phases).sqrt().clamp_min(1e-6)


def likeness(one: Tensor, others: Tensor) -> Tensor:
    """Shares of structure that agree, 1 for the same picture: (64, 33) and (N, 64, 33) -> (N,)."""
    shifted: Tensor = torch.fft.irfft2(others * one.conj(), norm="forward").roll((FARTHEST, FARTHEST), (-2, -1))
    return shifted[:, : 2 * FARTHEST + 1, : 2 * FARTHEST + 1].flatten(1).amax(1)


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
    alike = pairs >= bar(pairs[rows, columns])
    parts: list[list[int]] = []
    for row in range(len(stacked)):
        same = [part for part in parts if any(alike[row, k] or digests[row] == digests[k] for k in part)]
        joined = sorted([row, *(k for part in same for k in part)])
        parts = sorted([*(part for part in parts if part not in same), joined])
    return parts


def bar(pairs: Tensor) -> float:
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


def _energy(phases: Tensor) -> Tensor:
    """The sum of squares over the whole spectrum, of which `rfft2` keeps a half and the two columns between."""
    weights = torch.full((SIDE // 2 + 1,), 2.0)
    weights[[0, -1]] = 1
    return (phases.abs().square() * weights).sum()
