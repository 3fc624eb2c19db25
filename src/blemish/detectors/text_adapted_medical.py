"""Text-adapted few-shot anomaly detection for medical images (Mao). Reconstructed from a fragment of the abstract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from blemish import encoders
from blemish.blocks.adapters import TextBridge
from blemish.blocks.heads import quarters
from blemish.blocks.implants import Implants
from blemish.blocks.maps import fuse_mean, smooth, top_mean
from blemish.blocks.memory import MemoryBank, sum_distances
from blemish.training.sentences import SIGMA, TOKENS, TOP, Judged, SentenceDetector
from blemish.types import Batch, Encoder, Features, Prediction


class TextAdaptedMedical(SentenceDetector):
    """MVFA's adapters in the image tower, whose places are compared with sentences behind an adapter of their own, and
    after `fit` with those of a few good pictures.

    text_adapter: a residual bottleneck on the sentences' embeddings.
    The fragment says that text is adapted beside the image, with few shots; MVFA's body and all constants are chosen.
    """

    banks: Sequence[MemoryBank]

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        text_adapter: bool = True,
        tokens: int = TOKENS,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, image_size=image_size, seed=seed, tokens=tokens)
        self.text_adapter, self.taps = text_adapter, quarters(self.encoder.depth)
        self.implants = Implants(self.encoder, self.taps, self.encoder.width, seed=seed)
        self.bridging = TextBridge(self.encoder.width, seed=seed) if text_adapter else None
        self.banks = cast("Sequence[MemoryBank]", nn.ModuleList(MemoryBank() for _ in self.taps))
        self.requires_grad_(False).eval()

    def look(self, images: Tensor) -> Features:
        """What the first half of the adapters says of places, and after it what the second half does."""
        places, wholes = self.implants(self.encoder, images)
        return Features(wholes[-1].mean((1, 2)), (*places, *wholes))

    def read(self) -> Tensor:
        """Unit embeddings of both sentences, adapted: (2, D)."""
        texts = super().read()
        return texts if self.bridging is None else self.bridging(texts)

    def judge(self, seen: Features, texts: Tensor) -> Judged:
        """Places by the first half; the picture by the mean of the second half's logits of all places and layers."""
        count = len(self.taps)
        found = super().judge(seen._replace(patches=seen.patches[:count]), texts)
        wholes = torch.stack([each.mean((1, 2)) for each in seen.patches[count:]]).mean(0)
        return super().judge(Features(wholes, ()), texts)._replace(grids=found.grids)

    def extract(self, batch: Batch) -> tuple[tuple[Tensor, ...], ...]:
        """What the first half says of each place of each layer."""
        return tuple((each.flatten(0, 2),) for each in self.implants(self.encoder, batch.images)[0])

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction, both parts in [0, 1]."""
        found = super().forward(images)
        if not self.banks[0].fitted:
            return found
        places = self.implants(self.encoder, images)[0]
        near = sum_distances(self.banks, places, images.shape[-2:]) / (2 * len(places))
        return Prediction(*map(fuse_mean, found[:2], (top_mean(near, TOP), smooth(near, SIGMA))))
