"""Nearest neighbours in a space where good features have no correlations: Mahalanobis distances."""

from __future__ import annotations

import torch
from torch import Tensor

from blemish.blocks.learned import double
from blemish.blocks.memory import MemoryBank
from blemish.blocks.moments import mean_and_covariance, moments
from blemish.blocks.rows import Rows


class WhitenedBank(MemoryBank):
    """A bank of rows (M, C), compared by sqrt((x - r)^T S^-1 (x - r)) over the principal axes of S, their covariance.

    variance: so many axes are kept as explain that share of it. shrinkage: of S among these axes toward a multiple of
        the identity, as MH-PatchCore's (arXiv:2605.27748), whose scores are the squares, over at most 1000 of the rows.
    """

    raw: Tensor
    axes: Tensor

    def __init__(self, *, variance: float = 0.99, shrinkage: float = 0.07) -> None:
        super().__init__("euclidean")
        self.variance, self.shrinkage = variance, shrinkage
        for name, sizes in (("raw", ["M", "C"]), ("axes", ["C", "D"])):
            self.register_buffer(name, torch.empty(0))
            self.layout[name] = sizes

    def hold(self, *rows: Tensor) -> None:
        """Replace the bank, and the axes by which it compares."""
        (features,) = rows
        if not len(features):
            self.forget()
            return
        axes = whitening_axes(features, self.variance, self.shrinkage)
        super().hold(features @ axes)
        self.store({"raw": features, "axes": axes})

    def recall(self) -> Rows:
        """The rows as they were given."""
        return (self.raw,)

    def nearest(self, query: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
        """As that of any bank, of features (..., C)."""
        self.require()
        return super().nearest(query @ self.axes, k)


def whitening_axes(rows: Tensor, variance: float, shrinkage: float) -> Tensor:
    """Principal axes of rows (M, C) by the roots of their variances, (C, D): differences times them have length 1 where
    they are as rows usually differ from their mean. Variances are shrunk toward the mean of those that are kept.
    """
    _, covariance = mean_and_covariance(moments(double(rows)))
    values, vectors = torch.linalg.eigh(covariance)  # ascending
    values, tiny = values.flip(0).clamp_min(0), torch.finfo(torch.float32).tiny
    share = values.cumsum(0) / values.sum().clamp_min(tiny)
    kept = values[: min(int((share < variance).sum()) + 1, len(values))]
    shrunk = (1 - shrinkage) * kept + shrinkage * kept.mean().clamp_min(tiny)
    found = vectors.flip(1)[:, : len(kept)] / shrunk.sqrt()
    axes: Tensor = found.float().to(rows.device)
    return axes
