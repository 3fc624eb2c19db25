"""Windows of a grid in levels, each side half that of the finer one, and what their scores say together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def divide_weights(weights: Tensor, side: int) -> list[Tensor]:
    """The part of weights (N, h, w) in each of side x side windows, row by row; all of them where a window has none."""
    height, width = weights.shape[1:]
    rows, columns = (torch.arange(length, device=weights.device) * side // length for length in (height, width))
    number = rows[:, None] * side + columns  # (h, w)
    parts = [weights * (number == each) for each in range(side * side)]
    return [torch.where(part.sum((1, 2), keepdim=True) > 0, part, weights) for part in parts]


def fuse_fine_to_coarse(levels: Sequence[Tensor], share: float) -> Tensor:
    """Scores of windows (N, s, s, K), the finest level first, s half as much in the next, to 1 -> (N, K).

    A window's score is its own and, by `share`, the highest of the four in it, theirs included.
    """
    context, *coarser = levels
    for level in coarser:
        highest = F.max_pool2d(context.movedim(-1, 1), 2).movedim(1, -1)
        context = (1 - share) * level + share * highest
    return context[:, 0, 0]
