"""Densities and subspaces of normal features, learned in one pass over batches."""

from __future__ import annotations

from collections.abc import Iterable

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
