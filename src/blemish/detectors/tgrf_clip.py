"""TGRF-CLIP: text-guided fusion of visual residuals, few-shot. Reconstructed from a fragment of the abstract.

Its form is that of Res2CLIP's training-free maps, arXiv:2605.16171.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.joint_space import read_in_words
from blemish.blocks.maps import smooth, top_mean, upsample
from blemish.blocks.memory import MemoryBank
from blemish.blocks.prompts import ensemble, prototypes
from blemish.blocks.residuals import matched_reference, place_numbers, residual_maps
from blemish.blocks.rows import Rows
from blemish.encoders.capabilities import geometry
from blemish.types import Batch, Encoder, Prediction, TextEncoder

PRODUCT, WEIGHTS = "object", (0.1, 1.0, 1.0)


class TGRFCLIP(nn.Module):
    """What places have more than the good places they are matched with, and how much of that words call a defect.

    anomaly_map: the sum of how far a place lies toward the anomalous words, of its residual's length, and of the
        residual along these words where that is positive, blurred. image_score: the mean of its highest 1 %.
    guide: words are asked; else the residual's length is all there is. penalty: of how many places farther from the
        middle, or nearer, the match lay, from its cosine. count: references that a match may mix.
    The fragment says that text guides the fusion of visual residuals; the maps and weights are Res2CLIP's, which mixes
    all references, measures residuals in four layers, and asks words of the whole picture too.
    """

    toward: Tensor

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        guide: bool = True,
        penalty: float = 0.01,
        count: int = 4,
        words: str = "winclip",
        image_size: int | None = None,
    ) -> None:
        super().__init__()
        self.encoder = cast(TextEncoder, encoders.load(encoder, needs={"text"}))
        self.guide, self.penalty, self.count, self.words = guide, penalty, count, words
        self.image_size, self.geometry = image_size, geometry(self.encoder, image_size)
        normal, anomalous = prototypes(self.encoder, PRODUCT, ensemble(words))
        self.register_buffer("toward", F.normalize(anomalous - normal, dim=-1), persistent=False)  # (D,)
        self.bank = MemoryBank(beside=("down", "across"))

    def extract(self, batch: Batch) -> tuple[Rows, ...]:
        """Patches of each picture, and where they lie."""
        places = self._look(batch.images)
        where = place_numbers(places.shape[0], places.shape[1], places.shape[2], places)
        return ((places.flatten(0, 2), *where),)

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction."""
        places = self._look(images)
        good = matched_reference(self.bank, places, count=self.count, penalty=self.penalty)
        maps = residual_maps(places, good, self.toward)  # (N, h, w) each
        weights = WEIGHTS if self.guide else (0.0, 1.0, 0.0)
        found = torch.stack([weight * each for weight, each in zip(weights, maps, strict=True)]).sum(0)
        whole = upsample(found, images.shape[-2:])
        return Prediction(top_mean(whole, 0.01), smooth(whole, 4.0))

    def _look(self, images: Tensor) -> Tensor:
        """Unit places in the space of sentences: (N, h, w, D)."""
        return F.normalize(read_in_words(self.encoder, images, [self.encoder.depth]).patches[-1], dim=-1)
