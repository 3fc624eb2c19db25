"""HieCLIP: hierarchical texts for zero-shot anomaly detection. Reconstructed from the abstract."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.adapters import Bottleneck
from blemish.blocks.heads import LayerHeads, quarters
from blemish.blocks.maps import upsample
from blemish.blocks.similarity import text_margin
from blemish.training.sentences import SUFFIXES, TEMPERATURE, TOKENS, FrozenSentenceDetector, Judged, picture_logits
from blemish.types import Encoder, Features

LEVELS = 4


class HieCLIP(FrozenSentenceDetector):
    """Four levels of the tower, each against learned sentences of its own, weighed by what the whole picture is like.

    weights: of the levels, the softmax of a perceptron on the image embedding ("dynamic"), or all alike ("equal").
    The abstract says: learnable texts a level; weights of levels that are adjusted dynamically; a joint decision.
    """

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        weights: Literal["dynamic", "equal"] = "dynamic",
        tokens: int = TOKENS,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, image_size=image_size, seed=seed, tokens=tokens, suffixes=SUFFIXES * LEVELS)
        self.weights, self.taps = weights, quarters(self.encoder.depth)[-LEVELS:]
        self.heads = LayerHeads([self.encoder.widths[tap - 1] for tap in self.taps], self.encoder.width, seed=seed)
        generator = torch.Generator().manual_seed(seed)
        width, count = self.encoder.width, len(self.taps)
        self.gate = Bottleneck(width, count, max(1, width // 4), generator) if weights == "dynamic" else None
        self.requires_grad_(False).eval()

    @torch.no_grad()
    def frozen(self, images: Tensor) -> Features:
        """What the heads see of each level."""
        return self.encoder(images, layers=self.taps)

    def judge(self, seen: Features, texts: Tensor) -> Judged:
        """By the weighted sum of the levels' logits, on the finest grid."""
        levels = texts.unflatten(0, (LEVELS, 2))[: len(self.taps)]  # (L, 2, D)
        weights = self._weigh(F.normalize(seen.image, dim=-1))  # (N, L)
        places = [F.normalize(each, dim=-1) for each in self.heads(seen.patches)]
        margins = [text_margin(each, pair[None], TEMPERATURE) for each, pair in zip(places, levels, strict=True)]
        size = max((each.shape[1:] for each in margins), key=math.prod)
        grids = torch.stack([upsample(each, size) for each in margins], 1)  # (N, L, h, w)
        pictures = torch.stack([picture_logits(seen.image, pair[None]) for pair in levels], 1)  # (N, L)
        joint = (weights[..., None, None] * grids).sum(1)
        return Judged((weights * pictures).sum(1), (joint.sigmoid(),))

    def _weigh(self, images: Tensor) -> Tensor:
        """Shares of the levels, (N, D) -> (N, L)."""
        logits: Tensor = images.new_zeros(images.shape[0], len(self.taps)) if self.gate is None else self.gate(images)
        return logits.softmax(-1)
