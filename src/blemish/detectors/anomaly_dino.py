"""AnomalyDINO. Damm et al., "AnomalyDINO: Boosting Patch-based Few-shot Anomaly Detection with DINOv2",
WACV 2025, arXiv:2405.14529.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.foreground import foreground
from blemish.blocks.maps import smooth, top_mean, upsample
from blemish.blocks.memory import MemoryBank, Search
from blemish.blocks.rotation import rotate, turned_while_few
from blemish.blocks.rows import concatenate
from blemish.types import Encoder, Geometry, Prediction


class AnomalyDINO(nn.Module):
    """Cosine distance of each patch to the nearest one of a few normal images, seen in several rotations.

    image_score: mean of the highest 1 % of patch distances; distances are 1 - cos, in [0, 2].
    turns: rotations of each good part, as long as there are at most `few` of them: beyond the paper's 16 shots they add
        little but search time.
    masked: patches off the part get distance 0 (the paper masks some categories, after a test on each).
    Deviation: the authors rotate before resizing and crop to whole patches; here the resized image is rotated and its
    sides are rounded to whole patches, so that no margin goes unseen.
    """

    lessons = (("bank.rows",),)

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
        self.geometry = Geometry(image_size, keep_aspect=True, multiple=self.encoder.patch_size)
        self.bank = MemoryBank(search=search)

    @torch.inference_mode()
    def fit(self, batches: Iterable[Tensor]) -> Self:
        """Remember every patch of the good parts, at every rotation while they are few."""
        self.bank.remember(concatenate(map(self._patches, turned_while_few(batches, self.few, self._turns))))
        return self

    def _turns(self, images: Tensor) -> Iterator[Tensor]:
        return (rotate(images, 360 * turn / self.turns) for turn in range(1, self.turns))

    @torch.inference_mode()
    def study(self, images: Tensor) -> tuple[tuple[Tensor, ...], ...]:
        """The patches of each image, at every rotation unless there are more than `few` images."""
        views = [self._patches(view) for view in turned_while_few([images], self.few, self._turns)]
        return ((F.normalize(torch.stack(views, 1), dim=-1).flatten(0, 3),),)  # (N * views * h * w, D)

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction in cosine distances, both in [0, 2]."""
        patches = self._patches(images)
        grid = self.bank.distance(patches)  # (N, h, w)
        grid = grid * foreground(patches) if self.masked else grid
        return Prediction(top_mean(grid, 0.01), smooth(upsample(grid, images.shape[-2:]), self.sigma))

    def _patches(self, images: Tensor) -> Tensor:
        return self.encoder(images, layers=[self.layer or self.encoder.depth]).patches[0]
