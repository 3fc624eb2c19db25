"""Least squares with a penalty: what rows say of targets, in closed form."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Fit(NamedTuple):
    """targets = rows @ slope + offset."""

    slope: Tensor  # (D, K)
    offset: Tensor  # (K,)


def fit_ridge(rows: Tensor, targets: Tensor, weights: Tensor, penalty: float) -> Fit:
    """The fit of (M, D) to (M, K), each row counting by its weight (M,); in float64.

    penalty: times the mean squared length of the centred rows, each times its share of the weight.
    """
    rows, targets, share = rows.double(), targets.double(), (weights / weights.sum()).double()
    middle, level = share @ rows, share @ targets
    root = share.sqrt()[:, None]
    x, y = (rows - middle) * root, (targets - level) * root
    few = len(x) <= x.shape[1]
    products = x @ x.T if few else x.T @ x
    products.diagonal().add_(penalty * x.square().sum().clamp_min(1e-12) / len(x))
    slope = x.T @ torch.linalg.solve(products, y) if few else torch.linalg.solve(products, x.T @ y)
    return Fit(slope.float(), (level - middle @ slope).float())
