"""Nearest class mean, Mensink et al., TPAMI 2013, and nearest neighbours: the plainest few-shot classifiers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from blemish import encoders
from blemish.blocks.describing import Balance, Describing
from blemish.blocks.learned import Learned
from blemish.blocks.shown_types import spread_views, type_means
from blemish.blocks.similarity import cosine
from blemish.encoders.capabilities import geometry
from blemish.errors import BadInput
from blemish.types import Encoder, TypedExamples


class Nearest(Describing):
    """Cosine with the mean of each type's examples or, by neighbours, the share of those nearest.

    neighbours: 0 for means; else so many of the nearest examples vote, each by exp(cos / temperature).
    temperature: cosines are divided by it.
    """

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        types: Sequence[str],
        several: bool = False,
        neighbours: int = 0,
        temperature: float = 0.1,
        image_size: int | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.types, self.several = encoders.load(encoder), tuple(types), several
        if neighbours < 0:
            raise BadInput(f"neighbours={neighbours}: how many examples vote, or 0 for the mean of each type")
        self.neighbours, self.temperature, self.image_size = neighbours, temperature, image_size
        self.geometry = geometry(self.encoder, image_size)
        self.balance, self.memory = Balance(self.encoder), Learned("rows: M D", "share: M K")

    def fit(self, examples: TypedExamples) -> Self:
        """The mean of each type, or every example in all its views."""
        rows, types = spread_views(examples)
        self.balance.learn(rows)
        rows = self.balance(rows)
        if self.neighbours:
            self.memory.store({"rows": rows, "share": types.float()})
        else:
            self.memory.store({"rows": type_means(rows, types), "share": torch.eye(len(self.types))})
        return self

    def forward(self, seen: Tensor) -> Tensor:
        """(N, V, D) -> logits (N, K)."""
        self.memory.require()
        rows, share = self.memory.get_buffer("rows"), self.memory.get_buffer("share")
        likeness = cosine(self.balance(seen.mean(1)), rows) / self.temperature  # (N, M)
        if not self.neighbours:
            return likeness if not self.several else likeness - likeness.mean(1, keepdim=True)
        near, numbers = likeness.topk(min(self.neighbours, len(rows)))
        votes = near.softmax(1)[..., None] * share[numbers]
        voted = votes.sum(1).clamp(1e-6, 1 - 1e-6)  # (N, K)
        return voted.logit() if self.several else voted.log()
