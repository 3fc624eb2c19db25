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
from blemish.blocks.caches import cache_votes, even_values
from blemish.blocks.descent import descend
from blemish.blocks.described_words import SeeingInWords, word_prototypes
from blemish.blocks.learned import Learned
from blemish.blocks.shown_types import spread_views
from blemish.encoders.capabilities import geometry
from blemish.types import TextEncoder, TypedExamples


class TipAdapter(SeeingInWords):
    """Words, and a cache of examples: 100 f W + alpha exp(-beta (1 - f F)) L, equation 6.

    steps: of training the keys F, Tip-Adapter-F, each on all views of all examples; the paper's 20 epochs are 20 where
        there are 256 views. 0: keys stay as seen.
    alpha, beta: where the paper begins to search on a validation set, on ImageNet; alpha is 2 on other sets.
    Deviation: nothing is searched, and training ends with its last step, where the authors take the one that is best on
    the test set. Views are mirrored, not cropped at random, and of unit length before their mean is taken. Of types
    with more examples each counts less, so that all types count alike.
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
        keys = F.normalize(examples.seen.mean(1), dim=-1)
        self.cache.store({"keys": keys, "values": even_values(examples.types)})
        if self.steps:
            self.cache.store({"keys": self._trained(examples, keys)})
        return self

    def forward(self, seen: Tensor) -> Tensor:
        """(N, V, D) -> logits (N, K)."""
        self.cache.require()
        found = self.logits(F.normalize(seen.mean(1), dim=-1), self.cache.get_buffer("keys"))
        return found - found.mean(1, keepdim=True) if self.several else found

    def logits(self, rows: Tensor, keys: Tensor) -> Tensor:
        """Of unit vectors (N, D) by these keys (M, D): (N, K)."""
        votes = cache_votes(rows @ keys.T, self.cache.get_buffer("values"), self.beta)
        return self.scale * rows @ self.texts.T + self.alpha * votes

    def _trained(self, examples: TypedExamples, keys: Tensor) -> Tensor:
        key, (rows, types) = nn.Parameter(keys.clone()), spread_views(examples)
        rows, targets = F.normalize(rows, dim=-1), types / types.sum(1, keepdim=True).clamp_min(1)
        optimizer = torch.optim.AdamW([key], lr=self.rate, eps=1e-4)
        decline = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)
        descend(optimizer, lambda: F.cross_entropy(self.logits(rows, key), targets), steps=self.steps, decline=decline)
        return key.detach()
