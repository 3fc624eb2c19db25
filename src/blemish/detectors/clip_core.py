"""CLIP-Core and CLIP-Core+: a Mahalanobis bank behind a trained linear layer. Reconstructed from the abstract."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.adapters import draw_linear
from blemish.blocks.maps import fuse_mean, maximum, smooth, upsample
from blemish.blocks.memory import MemoryBank
from blemish.blocks.whitening import WhitenedBank
from blemish.synth.published.feature_noise import noise_in_spots
from blemish.training.sentences import SIGMA, FrozenSentenceDetector, picture_logits
from blemish.types import Batch, Encoder, Features, Prediction

NOISE, SPOTS = 0.5, 0.2  # deviation in units of each channel's own, and the threshold of Perlin spots


class CLIPCore(FrozenSentenceDetector):
    """How far places, through a linear layer, lie from the nearest of good parts.

    metric: in a space that is whitened by the covariance of good places, shrunk ("mahalanobis"), or in that of the
        layer as it is ("euclidean"). The layer is trained so that noise in spots of features moves them away.
    plus: sentences of learned words are trained too, and what they say of the picture counts for its score as much as
        the highest place. It is trained on good parts alone.
    The abstract says: a Mahalanobis bank and a linear layer; with "+" learned prompts and text features used again for
    the picture. The covariance is MH-PatchCore's, noise and losses are chosen.
    """

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        metric: Literal["mahalanobis", "euclidean"] = "mahalanobis",
        plus: bool = True,
        tokens: int = 12,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, image_size=image_size, seed=seed, tokens=tokens)
        self.metric, self.plus, width = metric, plus, self.encoder.width
        self.linear = draw_linear(width, width, torch.Generator().manual_seed(seed))
        with torch.no_grad():
            self.linear.weight.mul_(0.1).add_(torch.eye(width))
        self.bank: MemoryBank = WhitenedBank() if metric == "mahalanobis" else MemoryBank("euclidean")
        self.requires_grad_(False).eval()

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Of good parts: how near the mean places stay, how far noise moves them, and what sentences say of both."""
        seen = batch.features or self.frozen(batch.images)
        good = slice(None) if batch.labels is None else ~batch.labels
        places = F.normalize(seen.patches[-1][good], dim=-1)  # (N, h, w, D)
        raw = places.movedim(-1, 1)
        noise, spots = noise_in_spots(raw, torch.arange(raw.shape[0]), NOISE, SPOTS, torch.default_generator)
        clean, moved = (self.linear(F.normalize(each.movedim(1, -1), dim=-1)) for each in (raw, raw + noise))
        centre = clean.mean((0, 1, 2))
        near, far = ((each - centre).square().sum(-1) for each in (clean, moved))
        self.updates.add()
        inside = spots > 0
        terms = {"near": near.mean(), "far": F.relu(1 - far[inside]).sum() / inside.sum().clamp_min(1)}
        if self.plus:
            texts = self.read()
            toward = (texts[1] - texts[0]) / 0.07
            logits = F.normalize(raw + noise, dim=1).movedim(1, -1) @ toward
            terms["words"] = F.binary_cross_entropy_with_logits(logits, spots)
        return terms

    def extract(self, batch: Batch) -> tuple[tuple[Tensor, ...], ...]:
        """Places through the layer."""
        return ((self._places(self.frozen(batch.images)).flatten(0, 2),),)

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction; by words alone, in [0, 1], where no good part is remembered."""
        self.updates.require()
        seen = self.frozen(images)
        if not self.bank.fitted:  # before any good part is remembered words are all there is
            return self.predict(self.judge(seen, self.texts), images.shape[-2:])
        far = self.bank.distance(self._places(seen))  # (N, h, w)
        score = maximum(far)
        if self.plus:
            score = fuse_mean(score, picture_logits(seen.image, self.texts[None]).sigmoid())
        return Prediction(score, smooth(upsample(far, images.shape[-2:]), SIGMA))

    def _places(self, seen: Features) -> Tensor:
        placed: Tensor = self.linear(F.normalize(seen.patches[-1], dim=-1))
        return placed
