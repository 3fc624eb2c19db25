"""Regions of a map, cut out, looked at by something finer, and pasted back."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from blemish.blocks.closeups import Closeup, blend_closeups, closeups_of_peaks

TRUST = 0.5  # in the hint, beside that in colours
Segmenter = Callable[[Tensor, Tensor], Tensor]
"""segmenter(crop (3, h, w) in [0, 1], hint (h, w) in [0, 1]) -> how sure each pixel belongs to the defect, (h, w)."""


def segment_by_colour(crop: Tensor, hint: Tensor, *, rounds: int = 10, least: float = 1e-3) -> Tensor:
    """A `Segmenter` without weights: two Gaussians of colours, of the hint and of what is round it, as in GrabCut.

    Rother et al., 2004, with one full Gaussian a side in place of mixtures, and no cut.
    """
    pixels, share = crop.flatten(1).T, hint.flatten().clamp(least, 1 - least)  # (P, 3), (P,)
    prior = share
    for _ in range(rounds):
        inside, outside = (_log_density(pixels, each, least) for each in (share, 1 - share))
        share = (inside - outside + TRUST * prior.logit()).sigmoid().clamp(least, 1 - least)
    return share.view(hint.shape)


def _log_density(pixels: Tensor, weights: Tensor, least: float) -> Tensor:
    """Log density (P,) of pixels (P, 3) by the Gaussian of those by their weights, but for a constant."""
    total = weights.sum()
    centred = pixels - weights @ pixels / total
    covariance = (centred * weights[:, None]).T @ centred / total + least * torch.eye(3).to(pixels)
    solved = torch.linalg.solve(covariance, centred.T).T
    found: Tensor = -0.5 * ((centred * solved).sum(1) + covariance.logdet())
    return found


def refine_regions(images: Tensor, maps: Tensor, segmenter: Segmenter, *, level: float, most: int) -> Tensor:
    """The maps (N, H, W), and round each of the `most` worst regions that reach `level` what the segmenter says."""
    closeups = closeups_of_peaks(maps, level, most=most)
    if not closeups:
        return maps
    cut = [(_cut_out(images, each), _cut_out(maps[:, None], each)[0]) for each in closeups]
    return blend_pieces(maps, [segmenter(crop, hint) for crop, hint in cut], closeups)


def blend_pieces(maps: Tensor, pieces: list[Tensor], closeups: list[Closeup]) -> Tensor:
    """`blend_closeups` of pieces of any sizes."""
    for piece, closeup in zip(pieces, closeups, strict=True):
        maps = blend_closeups(maps, piece[None], [closeup])
    return maps


def _cut_out(pictures: Tensor, closeup: Closeup) -> Tensor:
    """(N, C, H, W) -> (C, h, w)."""
    x, y, width, height = closeup.region
    return pictures[closeup.picture, :, y : y + height, x : x + width]
