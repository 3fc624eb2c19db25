"""MuSc. Li, Huang, Xue & Zhou, "MuSc: Zero-Shot Industrial Anomaly Classification and Segmentation with Mutual Scoring
of the Unlabeled Images", ICLR 2024, arXiv:2401.16753.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.heads import quarters
from blemish.blocks.maps import maximum, upsample
from blemish.blocks.mutual import (
    PictureBank,
    digest,
    distance_to_each,
    lowest_digests,
    lowest_mean,
    mean_of_neighbours,
    standardize,
)
from blemish.blocks.patches import pool_neighbours
from blemish.blocks.rows import Rows
from blemish.encoders.capabilities import geometry
from blemish.types import Batch, Encoder, Features, Prediction


class MuSc(nn.Module):
    """Patches that no patch of most other pictures is like: pictures of one product score each other, unlabelled.

    What it learns is the set that a picture is compared with: those that are to be inspected, or good parts. A picture
    of the set is compared with the others, so its score depends on the set but on no order and on no batch.

    image_score: the highest value of the map, averaged with the scores of the most similar pictures (RsCIN).
    anomaly_map: distance of unit vectors, in [0, 2]: the mean over the `share` of pictures that are nearest.
    pictures: at most so many are compared with, each tile of them counting as one; of more, those of the lowest
        digests. Deviation: the authors divide a large set into several, of which each is scored by itself.
    sizes: of the neighbourhoods over which patches are averaged. neighbours: how many pictures share a score, itself
        among them; (1,) leaves scores as they are, (1, 8, 9) is the authors' choice for VisA.
    layers: by default those at a quarter, a half, three quarters and the whole of the depth; in a network of several
        grids all are brought to the last one's (the authors': to the first one's).
    Deviation: scores are not rescaled to the range of their set, which changes no ranking in it. The authors run
    OpenAI's weights with `activation="gelu"` and `resize="bicubic"`, see `encoders.load`.
    """

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        layers: Sequence[int] | None = None,
        sizes: Sequence[int] = (1, 3, 5),
        share: float = 0.3,
        neighbours: Sequence[int] = (1, 2, 3),
        pictures: int = 48,
        image_size: int | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoders.load(encoder)
        self.layers, self.sizes, self.share, self.neighbours = layers, sizes, share, neighbours
        self.pictures, self.image_size = pictures, image_size
        self.geometry = geometry(self.encoder, image_size)
        self.taps = tuple(layers or quarters(self.encoder.depth))
        self.bank = PictureBank(len(self.taps))
        self._known: tuple[Tensor, Tensor] | None = None  # maps of the set's pictures, and the set they are of

    def extract(self, batch: Batch) -> tuple[Rows, ...]:
        """A row a picture."""
        seen = self._look(batch.images)
        return ((digest(batch.images), F.normalize(seen.image, dim=-1), *seen.patches),)

    def consolidate(self, rows: Tensor) -> Tensor:
        """A sample of the pictures, by their digests (M, 2), which come first in a row."""
        return lowest_digests(rows, self.pictures)

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction."""
        self.bank.require()
        size, seen, own = images.shape[-2:], self._look(images), self.bank.same(digest(images))  # own: (N, M)
        maps = self._scores_of_set()  # (M, h, w)
        if not torch.compiler.is_compiling() and own.any(1).all():  # all are of the set, and compared already
            grid = maps[own.int().argmax(1)]  # (N, h, w)
        else:
            grid = self._scores(seen.patches, own)
        whole, others = upsample(grid, size, corners=True), maximum(upsample(maps, size, corners=True))
        similarity = F.normalize(seen.image, dim=-1) @ self.bank.get_buffer("embeddings").T  # (N, M)
        near = similarity.masked_fill(own, -torch.inf)
        return Prediction(mean_of_neighbours(maximum(whole), others, near, self.neighbours), whole)

    def _look(self, images: Tensor) -> Features:
        """Image embedding (N, D), and each layer standardised at the last one's grid: (N, h, w, C)."""
        embedding, layers = self.encoder(images, layers=self.taps)
        grids = [standardize(each).permute(0, 3, 1, 2) for each in layers]
        same = [F.interpolate(each, layers[-1].shape[1:3], mode="area").permute(0, 2, 3, 1) for each in grids]
        return Features(embedding, tuple(same))

    def _scores(self, layers: Sequence[Tensor], own: Tensor) -> Tensor:
        """Mutual scores (Eq. 3 to 5), the mean over layers and neighbourhoods: (N, h, w, C) each -> (N, h, w)."""
        found = []
        for layer, theirs in zip(layers, self.bank.recall()[2:], strict=True):
            for size in self.sizes:
                one, many = (F.normalize(pool_neighbours(each, size), dim=-1) for each in (layer, theirs))
                found.append(lowest_mean(distance_to_each(one, many), own, self.share))
        return torch.stack(found).mean(0)

    def _scores_of_set(self) -> Tensor:
        """The set's own pictures, each compared with the others, once for a set: (M, h, w)."""
        digests, _, *layers = self.bank.recall()
        if self._known is None or self._known[1] is not digests:
            parts = range(0, len(digests), 8)
            own = [self.bank.same(digests[at : at + 8]) for at in parts]
            maps = [self._scores([each[at : at + 8] for each in layers], own[at // 8]) for at in parts]
            self._known = torch.cat(maps), digests
        return self._known[0]
