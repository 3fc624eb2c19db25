"""Windows of a grid in levels, each side half that of the finer one, and what their scores say together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def pool_windows(places: Tensor, weights: Tensor, side: int) -> Tensor:
    """Weighted means of places (N, h, w, D) by (N, h, w) in side x side windows, as unit vectors (N, side, side, D).

    A window in which no weight lies has the mean of the whole.
    """
    x = (places * weights[..., None]).permute(0, 3, 1, 2)
    windows = F.adaptive_avg_pool2d(x, (side, side)).permute(0, 2, 3, 1)
    heavy = F.adaptive_avg_pool2d(weights[:, None], (side, side))[:, 0, ..., None] > 0
    return F.normalize(torch.where(heavy, windows, x.mean((2, 3))[:, None, None]), dim=-1)


def fuse_fine_to_coarse(levels: Sequence[Tensor], share: float) -> Tensor:
    """Scores of windows (N, s, s, K), the finest level first, s half as much in the next, to 1 -> (N, K).

    A window's score is its own and, by `share`, the highest of the four in it, theirs included.
    """
    context, *coarser = levels
    for level in coarser:
        highest = F.max_pool2d(context.movedim(-1, 1), 2).movedim(1, -1)
        context = (1 - share) * level + share * highest
    return context[:, 0, 0]
