"""Densities and subspaces of normal features, from sums over pictures."""

from __future__ import annotations

import torch
from torch import Tensor

from blemish.blocks.learned import Learned
from blemish.blocks.moments import Moments, Sums, mean_and_covariance, moments, moments_of_each
from blemish.blocks.rows import Rows
from blemish.errors import BadInput

TOGETHER = 16
"""Grids whose products are summed at once."""


class Subspace(Learned):
    """The principal directions that hold a share of the variance of normal features.

    variance: the fewest directions are kept that explain at least so much of it.
    It remembers the sums over each picture: their number (N,), first (N, D) and second (N, D, D) `Moments`.
    """

    mean: Tensor
    axes: Tensor

    def __init__(self, variance: float) -> None:
        super().__init__("mean: D", "axes: D K")
        self.variance = variance
        self.sums = Sums("number: N", "first: N D", "second: N D D", dtype=torch.float64, add_up=moments_of_each)

    def hold(self, *rows: Tensor) -> None:
        """Find the subspace of these, and of those that were absorbed."""
        self.sums.keep(rows)
        if not self.sums.fitted:
            self.forget()
            return
        mean, covariance = mean_and_covariance(self.sums.total())
        values, vectors = torch.linalg.eigh(covariance)  # ascending
        values = values.flip(0).clamp_min(0)
        share = values.cumsum(0) / values.sum().clamp_min(torch.finfo(values.dtype).tiny)
        count = min(int((share < self.variance).sum()) + 1, len(values))
        self.store({"mean": mean.float(), "axes": vectors.flip(1)[:, :count].float()})

    def recall(self) -> Rows:
        """The sums over each picture that was not absorbed."""
        return self.sums.rows()

    def absorb(self, *rows: Tensor) -> int:
        """Add up sums of pictures for good."""
        return self.sums.absorb(rows)

    def forget(self) -> None:
        """Back to the state before anything was learned."""
        super().forget()
        self.sums.forget()

    def residual(self, features: Tensor) -> Tensor:
        """Squared distance to the subspace: (..., D) -> (...), >= 0."""
        self.require()
        centred = features - self.mean
        return (centred - (centred @ self.axes) @ self.axes.T).square().sum(-1)


class PositionGaussian(Learned):
    """One Gaussian per place of the patch grid, kept as the inverse of its covariance's Cholesky factor.

    ridge: added to each variance (PaDiM, Eq. 1). It remembers the grid of each picture, (N, h, w, C).
    """

    mean: Tensor
    whitening: Tensor

    def __init__(self, ridge: float) -> None:
        super().__init__("mean: h w C", "whitening: h w C C")
        self.ridge = ridge
        self.sums = Sums("grids: N h w C", dtype=torch.float32, add_up=moments, together=TOGETHER)

    def hold(self, *rows: Tensor) -> None:
        """Estimate the Gaussians of these, and of those that were absorbed."""
        self.sums.keep(rows)
        if not self.sums.fitted:
            self.forget()
            return
        number, first, second = self.sums.total()
        # A row of places at a time: of 56 x 56 places and 550 channels the sums alone take 7.1 GiB.
        places = [self._estimate(Moments(number, *each)) for each in zip(first, second, strict=True)]
        mean, whitening = (torch.stack(each) for each in zip(*places, strict=True))
        self.store({"mean": mean, "whitening": whitening})

    def _estimate(self, sums: Moments) -> tuple[Tensor, Tensor]:
        mean, covariance = mean_and_covariance(sums)
        identity = torch.eye(covariance.shape[-1], device=covariance.device)
        factor = torch.linalg.cholesky((covariance + self.ridge * identity).float())
        return mean.float(), torch.linalg.solve_triangular(factor, identity.expand_as(factor), upper=False)

    def recall(self) -> Rows:
        """The grids that were not absorbed."""
        return self.sums.rows()

    def absorb(self, *rows: Tensor) -> int:
        """Add up grids for good, in steps of `TOGETHER`."""
        return self.sums.absorb(rows)

    def forget(self) -> None:
        """Back to the state before anything was learned."""
        super().forget()
        self.sums.forget()

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
