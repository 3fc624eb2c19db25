"""SubspaceAD. Lendering et al., "SubspaceAD: Training-Free Few-Shot Anomaly Detection via Subspace Modeling",
CVPR 2026.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Self

import torch
from torch import Tensor, nn

from blemish import encoders
from blemish.blocks.density import Subspace
from blemish.blocks.maps import fuse_mean, smooth, top_mean, upsample
from blemish.blocks.patches import join_layers, relative_layers
from blemish.blocks.rotation import rotate, turned_while_few
from blemish.types import Encoder, Geometry, Prediction


class SubspaceAD(nn.Module):
    """Squared distance of each patch to the principal subspace of normal patches.

    image_score: mean of the highest 1 % of the map.
    layers: averaged; by default the same share of the depth as the paper's 22 to 28 of 40. Deviation: those of a
        residual network, which the paper does not use, differ in width and stand side by side.
    turns: random rotations of each good part beside itself, drawn by `seed`, as long as there are at most `few` parts:
        the paper learns from up to 4.
    """

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        layers: Sequence[int] | None = None,
        variance: float = 0.99,
        turns: int = 30,
        few: int = 16,
        sigma: float = 4.0,
        image_size: int = 672,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = encoders.load(encoder)
        self.layers, self.variance, self.turns, self.few = layers, variance, turns, few
        self.sigma, self.image_size, self.seed = sigma, image_size, seed
        self.geometry = Geometry(image_size, multiple=self.encoder.patch_size)
        self.subspace = Subspace()

    @torch.inference_mode()
    def fit(self, batches: Iterable[Tensor]) -> Self:
        """Find the directions in which the patches of good parts vary; one pass, in constant memory."""
        generator = torch.Generator().manual_seed(self.seed)

        def turns(images: Tensor) -> Iterator[Tensor]:
            for angles in torch.rand(len(images), self.turns, generator=generator).T * 360:
                yield torch.cat([rotate(image[None], float(a)) for image, a in zip(images, angles, strict=True)])

        views = turned_while_few(batches, self.few, turns)
        self.subspace.learn((self._patches(images).flatten(0, 2) for images in views), self.variance)
        return self

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction in squared distances."""
        grid = self.subspace.residual(self._patches(images))  # (N, h, w)
        # The authors' blur is a 3 x 3 window of a Gaussian of this deviation.
        anomaly_map = smooth(upsample(grid, images.shape[-2:]), self.sigma, radius=1)
        return Prediction(top_mean(anomaly_map, 0.01), anomaly_map)

    def _patches(self, images: Tensor) -> Tensor:
        layers = self.layers or relative_layers(self.encoder.depth, 0.55, 0.7)
        found = self.encoder(images, layers=layers).patches
        return fuse_mean(*found) if len({patches.shape for patches in found}) == 1 else join_layers(found)
