"""Least squares with a penalty: what rows say of targets, in closed form."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

AT_ONCE = 8192
"""Rows of which there are float64 copies."""


class Fit(NamedTuple):
    """targets = rows @ slope + offset."""

    slope: Tensor  # (D, K)
    offset: Tensor  # (K,)


def fit_ridge(rows: Tensor, targets: Tensor, weights: Tensor, penalty: float) -> Fit:
    """The fit of (M, D) to (M, K), most of it 0, each row counting by its weight (M,); in float64.

    penalty: times the mean squared length of the centred rows, each times its share of the weight. Of more rows than D
    only so many at once are held in float64 that memory is bounded.
    """
    parts = list(zip(rows.split(AT_ONCE), (weights / weights.sum()).double().split(AT_ONCE), strict=True))
    wanted = [part.T.to_sparse().double() for part in targets.split(AT_ONCE)]  # (K, M)
    middle = torch.stack([share @ part.double() for part, share in parts]).sum(0)
    shares = [torch.sparse.mm(part, share[:, None])[:, 0] for part, (_, share) in zip(wanted, parts, strict=True)]
    level = torch.stack(shares).sum(0)
    if len(rows) <= rows.shape[1]:
        x, root = _centred(rows, torch.cat([share for _, share in parts]), middle)
        inner = _penalised(x @ x.T, x.square().sum(), penalty / len(x))
        slope = x.T @ torch.linalg.solve(inner, (targets.double() - level) * root)
    else:
        products, cross = middle.new_zeros(len(middle), len(middle)), middle.new_zeros(len(level), len(middle))
        for (part, share), columns in zip(parts, wanted, strict=True):
            x, root = _centred(part, share, middle)
            products.addmm_(x.T, x)
            cross += torch.sparse.mm(columns, x * root)  # x is centred, so targets need not be
        slope = torch.linalg.solve(_penalised(products, products.trace(), penalty / len(rows)), cross.T)
    return Fit(slope.float(), (level - middle @ slope).float())


def _centred(rows: Tensor, share: Tensor, middle: Tensor) -> tuple[Tensor, Tensor]:
    """Rows about their middle, by the root of their weight, and that root."""
    root = share.sqrt()[:, None]
    return (rows.double() - middle) * root, root


def _penalised(products: Tensor, length: Tensor, share: float) -> Tensor:
    products.diagonal().add_(share * length.clamp_min(1e-12))
    return products
