"""PatchCore. Roth et al., "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022, arXiv:2106.08265."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.coreset import coreset
from blemish.blocks.maps import maximum, smooth, upsample
from blemish.blocks.memory import MemoryBank, Search
from blemish.blocks.patches import describe_neighbours, join_layers, narrow
from blemish.blocks.rows import Rows
from blemish.encoders.capabilities import geometry
from blemish.types import Batch, Encoder, Prediction


class PatchCore(nn.Module):
    """Distance of each patch to the nearest one in a coreset of normal patches.

    image_score: the highest patch score; with `neighbours` > 1 discounted as in Eq. 7, which the authors' code leaves
        out and anomalib applies with 9.
    anomaly_map: squared Euclidean distance, as in the authors' code (the paper and anomalib: `squared=False`).
    layers: by default at a half and three quarters of the depth: 2 and 3 of a network of four stages, the paper's.
    equalize: each layer to unit length before joining; by default where they share one grid, as in transformers:
        their tokens grow with depth, and the later layer would decide alone. The paper's pyramids stay as they are.
    crop: pixels of the middle that are seen; the paper resizes to 256 and sees 224, which leaves the margin out.
    """

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        layers: Sequence[int] | None = None,
        width: int = 1024,
        ratio: float = 0.1,
        equalize: bool | None = None,
        neighbours: int = 1,
        squared: bool = True,
        sigma: float = 4.0,
        image_size: int | None = None,
        crop: int | None = None,
        search: Search = "torch",
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = encoders.load(encoder)
        self.layers, self.width, self.ratio, self.equalize = layers, width, ratio, equalize
        self.neighbours, self.squared, self.sigma = neighbours, squared, sigma
        self.image_size, self.crop, self.search, self.seed = image_size, crop, search, seed
        self.geometry = geometry(self.encoder, image_size, crop=crop)
        self.bank = MemoryBank("euclidean", search=search)

    def extract(self, batch: Batch) -> tuple[Rows, ...]:
        """The patches of each picture."""
        return ((self._patches(batch.images).flatten(0, 2),),)

    def consolidate(self, rows: Tensor) -> Tensor:
        """Numbers of the rows of a coreset, drawn by `seed`."""
        generator = torch.Generator().manual_seed(self.seed)
        return coreset(rows, max(1, round(len(rows) * self.ratio)), generator=generator)

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction, squared distances unless `squared` is off."""
        patches = self._patches(images)  # (N, h, w, D)
        distance, row = (found.squeeze(-1) for found in self.bank.nearest(patches))  # (N, h, w)
        score = maximum(distance) * self._trust(patches, distance, row)
        power = 2 if self.squared else 1
        anomaly_map = smooth(upsample(distance**power, images.shape[-2:]), self.sigma)
        return Prediction(score**power, anomaly_map)

    def _patches(self, images: Tensor) -> Tensor:
        depth = self.encoder.depth
        layers = self.layers or (depth // 2, depth * 3 // 4)
        found = [describe_neighbours(patches, self.width) for patches in self.encoder(images, layers=layers).patches]
        joined = join_layers([F.normalize(layer, dim=-1) for layer in found] if self._equalizes(found) else found)
        return narrow(joined, self.width)

    def _equalizes(self, layers: Sequence[Tensor]) -> bool:
        return len({layer.shape[1:3] for layer in layers}) == 1 if self.equalize is None else self.equalize

    def _trust(self, patches: Tensor, distance: Tensor, row: Tensor) -> Tensor:
        """Eq. 7's weight: low where the worst patch is as far from its nearest row as from that row's neighbours."""
        if self.neighbours == 1:
            return torch.ones_like(distance[:, 0, 0])
        worst, at = distance.flatten(1).max(1)
        patch = patches.flatten(1, 2).gather(1, at[:, None, None].expand(-1, -1, patches.shape[-1]))[:, 0]  # (N, D)
        nearest = self.bank.rows[row.flatten(1).gather(1, at[:, None]).squeeze(1)]
        around = self.bank.rows[self.bank.nearest(nearest, self.neighbours)[1]]  # (N, b, D)
        others = (patch[:, None] - around).square().sum(-1).sqrt()  # (N, b)
        return 1 - (worst - others.logsumexp(1)).exp()
