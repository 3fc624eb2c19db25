"""PaDiM. Defard et al., "PaDiM: a Patch Distribution Modeling Framework for Anomaly Detection and Localization",
ICPR 2020, arXiv:2011.08785.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Self

import torch
from torch import Tensor, nn

from blemish import encoders
from blemish.blocks.density import PositionGaussian
from blemish.blocks.learned import Learned
from blemish.blocks.maps import maximum, smooth, upsample
from blemish.blocks.moments import Merged, moments, settled
from blemish.blocks.patches import join_layers
from blemish.types import Encoder, Geometry, Prediction

TOGETHER = 16
"""Grids whose products are summed at once."""


class PaDiM(nn.Module):
    """Mahalanobis distance of each patch to the Gaussian of the normal patches at the same place.

    image_score: the highest value of the smoothed map. Parts must stand at the same place in every picture.
    layers: by default at one, two and three quarters of the depth: 1, 2 and 3 of a network of four stages, the paper's.
    channels: drawn at random by `seed` from the joined layers; 100 for ResNet-18, 550 for Wide ResNet-50 in the paper.
    """

    lessons = (("taught.grids",),)

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        layers: Sequence[int] | None = None,
        channels: int = 100,
        ridge: float = 0.01,
        sigma: float = 4.0,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = encoders.load(encoder)
        self.layers, self.channels, self.ridge, self.sigma = layers, channels, ridge, sigma
        self.image_size, self.seed = image_size, seed
        self.geometry = Geometry(image_size or self.encoder.image_size, multiple=self.encoder.patch_size)
        self.gaussian = PositionGaussian()
        self.taught, self.merged = Learned("grids: N h w C"), Merged()  # not of fit()

    @torch.inference_mode()
    def fit(self, batches: Iterable[Tensor]) -> Self:
        """Estimate mean and covariance at every place; one pass, in constant memory."""
        self.gaussian.learn((self._patches(images) for images in batches), self.ridge)
        self.taught.forget()
        self.merged.forget()
        return self

    @torch.inference_mode()
    def study(self, images: Tensor) -> tuple[tuple[Tensor, ...], ...]:
        """The patch grid of each image, (N, h, w, C)."""
        return ((self._patches(images),),)

    def settle(self) -> None:
        """Estimate mean and covariance from the grids that were taught, and from those that were merged."""
        grids = self.taught.get_buffer("grids").split(TOGETHER)
        mean, covariance = settled(self.merged.plus(map(moments, grids)))
        self.gaussian.settle(mean, covariance, self.ridge)

    def merge(self, count: int) -> int:
        """Add up the `count` oldest grids for good, or a few less: they go in blocks, as `settle` adds them."""
        grids, count = self.taught.get_buffer("grids"), count // TOGETHER * TOGETHER
        if count:
            self.merged.merge(map(moments, grids[:count].split(TOGETHER)))
            self.taught.store({"grids": grids[count:]})
        return count

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction in Mahalanobis distances; raises BadInput for a size not fitted."""
        grid = self.gaussian.distance(self._patches(images))  # (N, h, w)
        anomaly_map = smooth(upsample(grid, images.shape[-2:]), self.sigma)
        return Prediction(maximum(anomaly_map), anomaly_map)

    def _patches(self, images: Tensor) -> Tensor:
        depth = self.encoder.depth
        layers = self.layers or (depth // 4, depth // 2, depth * 3 // 4)
        joined = join_layers(self.encoder(images, layers=layers).patches, mode="nearest")
        generator = torch.Generator().manual_seed(self.seed)
        drawn = torch.randperm(joined.shape[-1], generator=generator)[: self.channels]
        return joined[..., drawn.to(joined.device)]
