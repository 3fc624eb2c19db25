"""AnomalyDINO. Damm et al., "AnomalyDINO: Boosting Patch-based Few-shot Anomaly Detection with DINOv2",
WACV 2025, arXiv:2405.14529.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.foreground import foreground
from blemish.blocks.maps import smooth, top_mean, upsample
from blemish.blocks.memory import MemoryBank, Search
from blemish.blocks.rotation import Views
from blemish.blocks.rotation import turns as even_turns
from blemish.blocks.rows import Rows
from blemish.encoders.capabilities import geometry
from blemish.types import Batch, Encoder, Prediction


class AnomalyDINO(nn.Module):
    """Cosine distance of each patch to the nearest one of a few normal images, seen in several rotations.

    image_score: mean of the highest 1 % of patch distances; distances are 1 - cos, in [0, 2].
    turns: rotations of each good part, if the first ones learned are at most `few`: beyond the paper's 16 shots they
        add little but search time.
    masked: patches off the part get distance 0 (the paper masks some categories, after a test on each).
    Deviation: the authors rotate before resizing and crop to whole patches; here the resized image is rotated and its
    sides are rounded to whole patches, so that no margin goes unseen.
    """

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        layer: int | None = None,
        turns: int = 8,
        few: int = 16,
        masked: bool = False,
        sigma: float = 4.0,
        image_size: int = 448,
        search: Search = "torch",
    ) -> None:
        super().__init__()
        self.encoder = encoders.load(encoder)
        self.layer, self.turns, self.few, self.masked, self.sigma = layer, turns, few, masked, sigma
        self.image_size, self.search = image_size, search
        self.geometry = geometry(self.encoder, image_size, keep_aspect=True)
        self.views = Views(few, even_turns(turns))
        self.bank = MemoryBank(search=search)

    def extract(self, batch: Batch) -> tuple[Rows, ...]:
        """Every patch of each picture, in every view."""
        views = [F.normalize(self._patches(view), dim=-1) for view in self.views(batch.images)]
        return ((torch.stack(views, 1).flatten(0, 3),),)  # (N * views * h * w, D)

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction in cosine distances, both in [0, 2]."""
        patches = self._patches(images)
        grid = self.bank.distance(patches)  # (N, h, w)
        grid = grid * foreground(patches) if self.masked else grid
        return Prediction(top_mean(grid, 0.01), smooth(upsample(grid, images.shape[-2:]), self.sigma))

    def _patches(self, images: Tensor) -> Tensor:
        return self.encoder(images, layers=[self.layer or self.encoder.depth]).patches[0]
