"""Densities and subspaces of normal features, learned in one pass over batches."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor

from blemish.blocks.learned import Learned
from blemish.errors import BadInput


class Subspace(Learned):
    """The principal directions that hold a share of the variance of normal features."""

    mean: Tensor
    axes: Tensor

    def __init__(self) -> None:
        super().__init__("mean: D", "axes: D K")

    def learn(self, batches: Iterable[Tensor], variance: float) -> None:
        """Fit to batches of (n, D) features; keeps the fewest directions that explain at least `variance` of them."""
        self.settle(*mean_and_covariance(batches), variance)

    def settle(self, mean: Tensor, covariance: Tensor, variance: float) -> None:
        """The same from the mean (D,) and covariance (D, D) of the features."""
        values, vectors = torch.linalg.eigh(covariance)  # ascending
        values = values.flip(0).clamp_min(0)
        share = values.cumsum(0) / values.sum().clamp_min(torch.finfo(values.dtype).tiny)
        kept = min(int((share < variance).sum()) + 1, len(values))
        self.store({"mean": mean.float(), "axes": vectors.flip(1)[:, :kept].float()})

    def residual(self, features: Tensor) -> Tensor:
        """Squared distance to the subspace: (..., D) -> (...), >= 0."""
        self.require()
        centred = features - self.mean
        return (centred - (centred @ self.axes) @ self.axes.T).square().sum(-1)


class PositionGaussian(Learned):
    """One Gaussian per place of the patch grid, kept as the inverse of its covariance's Cholesky factor."""

    mean: Tensor
    whitening: Tensor

    def __init__(self) -> None:
        super().__init__("mean: h w C", "whitening: h w C C")

    def learn(self, batches: Iterable[Tensor], ridge: float) -> None:
        """Fit to batches of (n, h, w, C) features; `ridge` is added to each variance (PaDiM, Eq. 1)."""
        self.settle(*mean_and_covariance(batches), ridge)

    def settle(self, mean: Tensor, covariance: Tensor, ridge: float) -> None:
        """The same from the mean (h, w, C) and covariance (h, w, C, C) of the features."""
        ridged = covariance + ridge * torch.eye(covariance.shape[-1], device=covariance.device)
        factor = torch.linalg.cholesky(ridged.float())
        identity = torch.eye(factor.shape[-1], device=factor.device)
        whitening = torch.linalg.solve_triangular(factor, identity.expand_as(factor), upper=False)
        self.store({"mean": mean.float(), "whitening": whitening})

    def distance(self, patches: Tensor) -> Tensor:
        """Mahalanobis distance at each place: (N, h, w, C) -> (N, h, w); raises BadInput for another grid."""
        self.require()
        if patches.shape[1:] != self.mean.shape:
            raise BadInput(
                f"patch grid {tuple(patches.shape[1:3])} differs from {tuple(self.mean.shape[:2])}, which was fitted: "
                "a Gaussian per place needs pictures of one size and aspect"
            )
        white = torch.einsum("hwij,nhwj->nhwi", self.whitening, patches - self.mean)
        return white.square().sum(-1).sqrt()


class Moments(NamedTuple):
    """Sums over features in float64, where a large mean costs no digits: they can be added up."""

    number: Tensor  # of examples, ()
    first: Tensor  # (..., C)
    second: Tensor  # of the products, (..., C, C)


def moments(rows: Tensor) -> Moments:
    """Sums over the first axis of features (n, ..., C)."""
    rows = rows.double()
    number = torch.tensor(float(len(rows)), dtype=torch.float64, device=rows.device)
    return Moments(number, rows.sum(0), torch.einsum("n...i,n...j->...ij", rows, rows))


class Merged(Learned):
    """Sums over pictures that are no longer kept apart: what they taught stays and cannot be taken back."""

    def __init__(self) -> None:
        super().__init__(*Moments._fields, dtype=torch.float64)

    def plus(self, parts: Iterable[Moments]) -> Moments:
        """These sums and then each of the others, from left to right: merging the first of them changes no digit."""
        start = [Moments(*(self.get_buffer(name) for name in Moments._fields))] if self.fitted else []
        return reduce(lambda sums, part: Moments(*map(torch.add, sums, part)), chain(start, parts))

    def merge(self, parts: Iterable[Moments]) -> None:
        """Take these in for good."""
        self.store(self.plus(parts)._asdict())


def settled(sums: Moments) -> tuple[Tensor, Tensor]:
    """Mean (..., C) and unbiased covariance (..., C, C) in float64; a single example has covariance 0."""
    mean = sums.first / sums.number
    scatter = sums.second - sums.number * mean.unsqueeze(-1) * mean.unsqueeze(-2)
    return mean, scatter / (sums.number - 1).clamp_min(1)


def mean_and_covariance(batches: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean (..., C) and unbiased covariance (..., C, C) over the first axis of all (n, ..., C) batches, in float64
    for vectors and float32 for grids; a single example has covariance 0. Raises BadInput without any.
    """
    count, shift, first, second = 0, None, torch.zeros(()), torch.zeros(())
    for batch in batches:
        rows = batch.double() if batch.ndim == 2 else batch.float()
        shift = rows.mean(0) if shift is None else shift  # sums about a typical value keep their digits
        off = rows - shift
        count, first = count + len(rows), first + off.sum(0)
        second = second + torch.einsum("n...i,n...j->...ij", off, off)
    if shift is None:
        raise BadInput("there is nothing to learn from: fit() received no images")
    mean = first / count
    scatter = second - count * mean.unsqueeze(-1) * mean.unsqueeze(-2)
    return shift + mean, scatter / max(1, count - 1)
