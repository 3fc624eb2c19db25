"""TAB, the text-align anomaly backbone. Lee & Lai, "TAB: Text-Align Anomaly Backbone Model for Industrial Inspection
Tasks", CVPRW 2024, arXiv:2312.09480.

The paper ends with a backbone for other methods. Ours is to ask its space of words, and to join a memory to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.coreset import coreset
from blemish.blocks.maps import fuse_mean, smooth, top_mean, upsample
from blemish.blocks.memory import MemoryBank
from blemish.blocks.near_rows import read_nearest
from blemish.blocks.patches import join_layers, pool_neighbours
from blemish.blocks.prompts import class_prototypes, ensemble
from blemish.blocks.rotation import Views, mirrors
from blemish.blocks.rows import Rows
from blemish.blocks.similarity import anomaly_probability
from blemish.blocks.whitening import PlacedBank, WhitenedBank
from blemish.encoders.capabilities import geometry
from blemish.types import Batch, Prediction, TextEncoder

SHRINKAGE = 0.1  # of the covariance of good patches
EVENED = {"mahalanobis": 0.75, "cosine": 1.0}  # the power of a layer's length by which a patch of it is divided
HIGHEST = 0.01  # share of the patches whose mean speaks for the picture: 8 at 224 px, what one small flaw covers


class TAB(nn.Module):
    """Each patch, and the whole picture, against words for a good part and for what can go wrong with it.

    image_score: zero-shot, mean of the whole picture's probability of the anomalous words and that of the highest 1 %
        of patches, in [0, 1]; fitted, mean of the highest 1 % of patch scores, plus `breadth` times that of all, plus
        `whole` times how far the mean of its patches lies from that of the nearest good part. The last two rise where
        the whole part is another: broken, soiled, of another colour.
    anomaly_map: zero-shot, the patches' probability; fitted, distance to the nearest good patch plus `trust` times how
        much more anomalous the words find the patch than that neighbour.
    metric: of distances. "mahalanobis" counts in units of what good patches differ by in each direction, so that a
        small change of what never changes is a large one: two good patches are about 1 apart. "cosine" takes all
        directions alike, in [0, 2].
    defects: names of what can go wrong ("scratch", "missing screw"); none: any damage. With names only these count, and
        the common kinds of damage that mean something else (`prompts.DEFECTS`) are what they are told apart from.
    few: good parts are learned mirrored as well, both ways, if the first ones learned are at most so many.
    layers: of the memory, beside the last; by default those at a half and three quarters of the depth.
    most: patches of good parts learned together that a coreset keeps where there are more than twice as many.
    """

    texts: Tensor

    def __init__(
        self,
        encoder: str | TextEncoder = encoders.DEFAULT,
        *,
        product: str = "object",
        defects: Sequence[str] = (),
        temperature: float = 0.07,
        words: str = "winclip",
        trust: float = 0.25,
        breadth: float = 1.0,
        whole: float = 1.0,
        metric: Literal["mahalanobis", "cosine"] = "mahalanobis",
        few: int = 4,
        layers: Sequence[int] | None = None,
        sigma: float = 4.0,
        image_size: int | None = None,
        most: int = 8192,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = cast(TextEncoder, encoders.load(encoder, needs={"text"}))
        self.product, self.defects, self.temperature, self.words = product, defects, temperature, words
        self.trust, self.breadth, self.whole, self.few = trust, breadth, whole, few
        self.layers, self.sigma = layers, sigma
        self.metric: Literal["mahalanobis", "cosine"] = metric
        self.image_size, self.most, self.seed = image_size, most, seed
        self.geometry = geometry(self.encoder, image_size)
        texts, self.innocent = class_prototypes(self.encoder, product, defects, ensemble(words))
        self.register_buffer("texts", texts)  # the first `innocent` ones accuse nobody
        self.views = Views(few, mirrors)
        beside = ["words"]  # what the words say of each row
        self.bank = (
            MemoryBank(beside=beside)
            if metric == "cosine"
            else WhitenedBank(variance=1.0, shrinkage=SHRINKAGE, even=True, beside=beside)
        )
        self.parts = PlacedBank(self.bank)  # the mean patch of each good part

    def extract(self, batch: Batch) -> tuple[Rows, ...]:
        """The patches of each picture, in every view, with what the words say of them; and their mean in each."""
        views = [self._look(view)[1:] for view in self.views(batch.images)]
        words, patches = (torch.stack(each, 1) for each in zip(*views, strict=True))  # (N, views, h, w), (..., D)
        rows, means = patches.flatten(0, 3), patches.mean((2, 3)).flatten(0, 1)
        return (F.normalize(rows, dim=-1) if self.metric == "cosine" else rows, words.flatten()), (means,)

    def consolidate(self, rows: Tensor) -> Tensor:
        """Numbers of the rows to remember."""
        generator = torch.Generator().manual_seed(self.seed)
        return coreset(rows, self.most, generator=generator) if len(rows) > 2 * self.most else torch.arange(len(rows))

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction."""
        whole, words, patches = self._look(images)
        if not self.bank.fitted:
            return Prediction(fuse_mean(whole, top_mean(words, HIGHEST)), self._spread(words, images))
        distance, expected = read_nearest(self.bank, patches, "words")  # (N, h, w) each
        grid = distance + self.trust * (words - expected).clamp_min(0)
        score = top_mean(grid, HIGHEST) + self.breadth * grid.mean((1, 2))
        score = score + self.whole * self.parts.distance(patches.mean((1, 2)))
        return Prediction(score, self._spread(grid, images))

    def _look(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Probability of anomalous words, of the whole (N,) and of each patch (N, h, w); patches for the memory."""
        depth = self.encoder.depth
        layers = self.layers or (depth // 2, depth * 3 // 4)
        embedding, (*maps, last) = self.encoder(images, layers=[*layers, depth])
        whole = anomaly_probability(embedding, self.texts, self.temperature, normal=self.innocent)
        joined = join_layers([_even(pool_neighbours(layer), EVENED[self.metric]) for layer in (*maps, last)])
        words = anomaly_probability(self.encoder.project(last), self.texts, self.temperature, normal=self.innocent)
        return whole, upsample(words, joined.shape[1:3]), joined

    def _spread(self, grid: Tensor, images: Tensor) -> Tensor:
        return smooth(upsample(grid, images.shape[-2:]), self.sigma)


def _even(patches: Tensor, power: float) -> Tensor:
    """Patches (..., C) whose lengths differ less, and by 1 not at all."""
    length: Tensor = torch.linalg.vector_norm(patches, dim=-1, keepdim=True)
    return patches * length.clamp_min(1e-6).pow(-power)
