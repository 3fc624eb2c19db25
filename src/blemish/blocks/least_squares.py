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
    """The fit of (M, D) to (M, K), most of it 0, each row counting by its weight (M,); in float64.

    penalty: times the mean squared length of the centred rows, each times its share of the weight.
    """
    rows, share, columns = rows.double(), (weights / weights.sum()).double(), targets.T.to_sparse().double()
    middle, level = share @ rows, torch.sparse.mm(columns, share[:, None])[:, 0]
    root = share.sqrt()[:, None]
    x = (rows - middle) * root
    few = len(x) <= x.shape[1]
    products = x @ x.T if few else x.T @ x
    products.diagonal().add_(penalty * x.square().sum().clamp_min(1e-12) / len(x))
    if few:
        slope = x.T @ torch.linalg.solve(products, (targets.double() - level) * root)
    else:
        slope = torch.linalg.solve(
            products, torch.sparse.mm(columns, x * root).T
        )  # x is centred, so targets need not be
    return Fit(slope.float(), (level - middle @ slope).float())
