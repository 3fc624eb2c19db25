"""Grades: classes in an order, of which neighbours are the likeliest to be mistaken for each other."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish.blocks.descent import search


class Ordinal(NamedTuple):
    """P(grade <= j) = sigmoid(limits[j] - rows @ slope)."""

    slope: Tensor  # (D,)
    limits: Tensor  # (K - 1,), ascending

    def logits(self, rows: Tensor) -> Tensor:
        """Logarithms of the probabilities of grades: (N, D) -> (N, K)."""
        below = self.limits - (rows @ self.slope)[:, None]  # (N, K - 1)
        upper, lower = F.pad(below, (0, 1), value=torch.inf), F.pad(below, (1, 0), value=-torch.inf)
        # sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a)), which keeps the digits of small ones
        gap = (lower - upper).clamp_max(-1e-6)
        return F.logsigmoid(upper) + F.logsigmoid(-lower) + torch.log1p(-gap.exp())


def fit_ordinal(rows: Tensor, grades: Tensor, weights: Tensor, *, levels: int, penalty: float = 0.01) -> Ordinal:
    """Ordinal logistic regression (McCullagh, 1980) of (M, D) on grades (M,) from 0, rows counting by weights (M,).

    penalty: of the squared slope, for a loss that is the weighted mean over rows.
    """
    slope = rows.new_zeros(rows.shape[1]).requires_grad_()
    first, steps = rows.new_tensor(-1.0).requires_grad_(), rows.new_zeros(max(0, levels - 2)).requires_grad_()
    share = weights / weights.sum()

    def made() -> Ordinal:
        return Ordinal(slope, torch.cat([first[None], first + F.softplus(steps).cumsum(0)])[: levels - 1])

    def loss() -> Tensor:
        right = made().logits(rows).gather(1, grades[:, None])[:, 0]
        return -(share * right).sum() + penalty * slope.square().sum()

    search([slope, first, steps], loss, 100)
    return Ordinal(*(each.detach() for each in made()))
