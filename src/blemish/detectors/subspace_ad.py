"""SubspaceAD. Lendering et al., "SubspaceAD: Training-Free Few-Shot Anomaly Detection via Subspace Modeling",
CVPR 2026.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor, nn

from blemish import encoders
from blemish.blocks.density import Subspace
from blemish.blocks.learned import double
from blemish.blocks.maps import fuse_mean, smooth, top_mean, upsample
from blemish.blocks.patches import join_layers
from blemish.blocks.rotation import Views, random_turns
from blemish.blocks.rows import Rows
from blemish.encoders.capabilities import geometry
from blemish.types import Batch, Encoder, Prediction


class SubspaceAD(nn.Module):
    """Squared distance of each patch to the principal subspace of normal patches.

    image_score: mean of the highest 1 % of the map.
    layers: averaged; by default the same share of the depth as the paper's 22 to 28 of 40. Deviation: those of a
        residual network, which the paper does not use, differ in width and stand side by side.
    turns: random rotations of each good part beside itself, drawn by `seed` and its pixels, if the first parts learned
        are at most `few`: the paper learns from up to 4.
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
        self.geometry = geometry(self.encoder, image_size)
        self.views = Views(few, random_turns(turns, seed))
        self.subspace = Subspace(variance)

    def extract(self, batch: Batch) -> tuple[Rows, ...]:
        """The sums over each picture's patches, in every view."""
        grids = (double(self._patches(view).flatten(1, 2)) for view in self.views(batch.images))  # (N, h * w, D)
        sums = ((rows.new_full((len(rows),), rows.shape[1]), rows.sum(1), rows.mT @ rows) for rows in grids)
        return (reduce(lambda one, other: tuple(map(torch.add, one, other)), sums),)

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction in squared distances."""
        grid = self.subspace.residual(self._patches(images))  # (N, h, w)
        # The authors' blur is a 3 x 3 window of a Gaussian of this deviation.
        anomaly_map = smooth(upsample(grid, images.shape[-2:]), self.sigma, radius=1)
        return Prediction(top_mean(anomaly_map, 0.01), anomaly_map)

    def _patches(self, images: Tensor) -> Tensor:
        layers = self.layers or relative_layers(self.encoder.depth, 0.55, 0.7)
        found = self.encoder(images, layers=layers).patches
        return fuse_mean(*found) if len({patches.shape[1:] for patches in found}) == 1 else join_layers(found)


def relative_layers(depth: int, first: float, last: float) -> tuple[int, ...]:
    """Every layer between two fractions of the depth, at least one: (12, .5, .75) -> (6, 7, 8, 9)."""
    low = max(1, round(depth * first))
    return tuple(range(low, max(low, round(depth * last)) + 1))
