"""Nearest neighbours in a space where good features have no correlations: Mahalanobis distances."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import torch
from torch import Tensor

from blemish.blocks.learned import double
from blemish.blocks.memory import MemoryBank
from blemish.blocks.moments import mean_and_covariance, moments
from blemish.blocks.rows import Rows

FLATTEST = 1e-8
"""Differences of a ten-thousandth of what features are: not far above their rounding."""


class WhitenedBank(MemoryBank):
    """A bank of rows (M, C), compared by sqrt((x - r)^T S^-1 (x - r)) over the principal axes of S, their covariance.

    variance: so many axes are kept as explain that share of it, all by 1. shrinkage: of S among these axes toward a
        multiple of the identity, as MH-PatchCore's (arXiv:2605.27748), whose scores are the squares, over at most 1000
        of the rows. even: distances are divided by sqrt(2 D), about what two rows drawn from D such axes differ by, so
        that 1 means the same of any width.
    """

    unread = frozenset({"raw"})
    raw: Tensor
    axes: Tensor
    centre: Tensor  # (C,), without which rows would be so long that short distances are lost in rounding

    def __init__(
        self, *, variance: float = 0.99, shrinkage: float = 0.07, even: bool = False, beside: Sequence[str] = ()
    ) -> None:
        super().__init__("euclidean", beside=beside)
        self.variance, self.shrinkage, self.even = variance, shrinkage, even
        for name, sizes in (("raw", ["M", "C"]), ("axes", ["C", "D"]), ("centre", ["C"])):
            self.register_buffer(name, torch.empty(0))
            self.layout[name] = sizes

    def hold(self, *rows: Tensor) -> None:
        """Replace the bank, and the axes by which it compares."""
        features, *numbers = rows
        if not len(features):
            self.forget()
            return
        axes = whitening_axes(features, self.variance, self.shrinkage)
        axes = axes / sqrt(2 * axes.shape[1]) if self.even else axes
        centre = double(features).mean(0).to(features)
        super().hold((features - centre) @ axes, *numbers)
        self.store({"raw": features, "axes": axes, "centre": centre})

    def recall(self) -> Rows:
        """The rows as they were given, and the numbers beside them."""
        return (self.raw, *map(self.get_buffer, self.beside))

    def place(self, query: Tensor) -> Tensor:
        """Features (..., C) along the axes."""
        return (query - self.centre) @ self.axes


class PlacedBank(MemoryBank):
    """A bank of features that are compared as another bank compares its own: that one learns before it."""

    unread = frozenset({"raw"})
    raw: Tensor

    def __init__(self, other: MemoryBank) -> None:
        super().__init__(other.metric)
        self.place = other.place  # type: ignore[method-assign]
        self.register_buffer("raw", torch.empty(0))
        self.layout["raw"] = ["M", "C"]

    def hold(self, *rows: Tensor) -> None:
        """Replace the bank by features, as the other bank places them now."""
        (features,) = rows
        super().hold(self.place(features.to(self.rows.device)) if len(features) else features)
        self.store({"raw": features})

    def recall(self) -> Rows:
        """The rows as they were given."""
        return (self.raw,)


def whitening_axes(rows: Tensor, variance: float, shrinkage: float) -> Tensor:
    """Principal axes of rows (M, C) by the roots of their variances, (C, D): differences times them have length 1 where
    they are as rows usually differ from their mean. Variances are shrunk toward the mean of those that are kept.
    """
    _, covariance = mean_and_covariance(moments(double(rows)))
    values, vectors = torch.linalg.eigh(covariance)  # ascending
    least = (FLATTEST * double(rows).square().mean()).clamp_min(torch.finfo(torch.float32).tiny)
    values = values.flip(0).clamp_min(0)
    share = values.cumsum(0) / values.sum().clamp_min(torch.finfo(torch.float32).tiny)
    kept = values if variance >= 1 else values[: min(int((share < variance).sum()) + 1, len(values))]
    shrunk = (1 - shrinkage) * kept + shrinkage * kept.mean().clamp_min(least)
    found = vectors.flip(1)[:, : len(kept)] / shrunk.sqrt()
    axes: Tensor = found.float().to(rows.device)
    return axes
