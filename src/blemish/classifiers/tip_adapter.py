"""Tip-Adapter. Zhang et al., "Tip-Adapter: Training-free Adaption of CLIP for Few-shot Classification", ECCV 2022,
arXiv:2207.09519.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.described_words import SeeingInWords, word_prototypes
from blemish.blocks.learned import Learned
from blemish.encoders.capabilities import geometry
from blemish.types import TextEncoder, TypedExamples


class TipAdapter(SeeingInWords):
    """Words, and a cache of examples: 100 f W + alpha exp(-beta (1 - f F)) L, equation 6.

    steps: of training the keys F, Tip-Adapter-F; 0: they stay as seen.
    Deviation: the paper chooses alpha and beta, and the epoch, on a validation set; here they are arguments, with its
    first values, and training ends with its last step.
    """

    texts: Tensor

    def __init__(
        self,
        encoder: str | TextEncoder = encoders.DEFAULT,
        *,
        types: Sequence[str],
        words: Mapping[str, Sequence[str]] | None = None,
        product: str = "object",
        several: bool = False,
        alpha: float = 1.17,
        beta: float = 1.0,
        scale: float = 100.0,
        steps: int = 0,
        rate: float = 1e-3,
        image_size: int | None = None,
    ) -> None:
        super().__init__()
        self.encoder = cast(TextEncoder, encoders.load(encoder, needs={"text"}))
        self.types, self.words, self.product, self.several = tuple(types), dict(words or {}), product, several
        self.alpha, self.beta, self.scale, self.steps, self.rate = alpha, beta, scale, steps, rate
        self.image_size, self.geometry = image_size, geometry(self.encoder, image_size)
        self.register_buffer("texts", word_prototypes(self.encoder, product, self.types, self.words))
        self.cache = Learned("keys: M D", "values: M K")

    def fit(self, examples: TypedExamples) -> Self:
        """The mean of each example's views is a key; Tip-Adapter-F trains them on the views."""
        keys, values = F.normalize(examples.seen.mean(1), dim=-1), examples.types.float()
        self.cache.store({"keys": keys, "values": values})
        if self.steps:
            self.cache.store({"keys": self._trained(examples, keys, values)})
        return self

    def forward(self, seen: Tensor) -> Tensor:
        """(N, V, D) -> logits (N, K)."""
        self.cache.require()
        return self.logits(F.normalize(seen.mean(1), dim=-1), self.cache.get_buffer("keys"))

    def logits(self, rows: Tensor, keys: Tensor) -> Tensor:
        """Of unit vectors (N, D) by these keys (M, D): (N, K)."""
        likeness = (-self.beta * (1 - rows @ keys.T)).exp() @ self.cache.get_buffer("values")
        return self.scale * rows @ self.texts.T + self.alpha * likeness

    def _trained(self, examples: TypedExamples, keys: Tensor, values: Tensor) -> Tensor:
        key, views = nn.Parameter(keys.clone()), examples.seen.shape[1]
        rows, targets = F.normalize(examples.seen.flatten(0, 1), dim=-1), values.repeat_interleave(views, 0)
        optimizer = torch.optim.AdamW([key], lr=self.rate, eps=1e-4)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)
        with torch.enable_grad():
            for _ in range(self.steps):
                optimizer.zero_grad()
                F.cross_entropy(self.logits(rows, key), targets / targets.sum(1, keepdim=True)).backward()
                optimizer.step()
                schedule.step()
        return key.detach()
