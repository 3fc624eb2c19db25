"""PaDiM. Defard et al., "PaDiM: a Patch Distribution Modeling Framework for Anomaly Detection and Localization",
ICPR 2020, arXiv:2011.08785.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from blemish import encoders
from blemish.blocks.density import PositionGaussian
from blemish.blocks.maps import maximum, smooth, upsample
from blemish.blocks.patches import join_layers
from blemish.blocks.rows import Rows
from blemish.encoders.capabilities import geometry
from blemish.types import Batch, Encoder, Prediction


class PaDiM(nn.Module):
    """Mahalanobis distance of each patch to the Gaussian of the normal patches at the same place.

    image_score: the highest value of the smoothed map. Parts must stand at the same place in every picture.
    layers: by default at one, two and three quarters of the depth: 1, 2 and 3 of a network of four stages, the paper's.
    channels: drawn at random by `seed` from the joined layers; 100 for ResNet-18, 550 for Wide ResNet-50 in the paper.
    """

    drawn: Tensor

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
        self.geometry = geometry(self.encoder, image_size)
        self.gaussian = PositionGaussian(ridge)
        self.register_buffer("drawn", torch.empty(0, dtype=torch.int64), persistent=False)

    def extract(self, batch: Batch) -> tuple[Rows, ...]:
        """The patch grid of each picture, (N, h, w, C)."""
        return ((self._patches(batch.images),),)

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction in Mahalanobis distances; raises BadInput for a size not fitted."""
        grid = self.gaussian.distance(self._patches(images))  # (N, h, w)
        anomaly_map = smooth(upsample(grid, images.shape[-2:]), self.sigma)
        return Prediction(maximum(anomaly_map), anomaly_map)

    def _patches(self, images: Tensor) -> Tensor:
        depth = self.encoder.depth
        layers = self.layers or (depth // 4, depth // 2, depth * 3 // 4)
        joined = join_layers(self.encoder(images, layers=layers).patches, mode="nearest")
        return joined[..., self._drawn(joined.shape[-1]).to(joined.device)]

    def _drawn(self, width: int) -> Tensor:
        """Numbers of the channels that are kept of so many, drawn once."""
        if len(self.drawn) == 0:
            generator = torch.Generator().manual_seed(self.seed)
            self.drawn = torch.randperm(width, generator=generator)[: self.channels].to(self.drawn.device)
        return self.drawn
