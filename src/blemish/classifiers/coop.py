"""CoOp. Zhou, Yang, Loy & Liu, "Learning to Prompt for Vision-Language Models", IJCV 2022, arXiv:2109.01134."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, Self, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.descent import descend
from blemish.blocks.described_words import SeeingInWords
from blemish.blocks.learned import Learned
from blemish.blocks.learned_prompts import LearnedPrompts
from blemish.blocks.shown_types import spread_views
from blemish.blocks.similarity import cosine
from blemish.encoders.capabilities import geometry
from blemish.types import PromptEncoder, TypedExamples

WARM_UP = 1e-5
"""The rate of the first steps."""


class CoOp(SeeingInWords):
    """`scale` times the cosine with a sentence for each type: learned words and its name, "[V] ... [V] crack.".

    shared: all types have the same learned words, of `tokens`; else each its own. place: of the name among them.
    steps: of SGD, each on `batch_size` views; the first fiftieth at a small rate, then along a cosine from `rate`.
    Deviation: the authors train 50 to 200 epochs on crops drawn anew; here on the views that examples came in.
    """

    encoder: PromptEncoder

    def __init__(
        self,
        encoder: str | PromptEncoder = encoders.DEFAULT,
        *,
        types: Sequence[str],
        several: bool = False,
        tokens: int = 16,
        shared: bool = True,
        place: Literal["end", "middle"] = "end",
        scale: float = 100.0,
        steps: int = 200,
        batch_size: int = 32,
        rate: float = 0.002,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = cast(PromptEncoder, encoders.load(encoder, needs={"text", "prompts"}))
        self.types, self.several, self.tokens, self.shared, self.place = tuple(types), several, tokens, shared, place
        self.scale, self.steps, self.batch_size, self.rate, self.seed = scale, steps, batch_size, rate, seed
        self.image_size, self.geometry = image_size, geometry(self.encoder, image_size)
        self.learned = Learned("texts: K D")

    def fit(self, examples: TypedExamples) -> Self:
        """Learn words; what is kept of them are the sentences' embeddings."""
        prompts = self.untrained()
        (rows, types), generator = spread_views(examples), torch.Generator().manual_seed(self.seed)
        optimizer = torch.optim.SGD(prompts.parameters(), lr=self.rate, momentum=0.9, weight_decay=5e-4)
        decline = torch.optim.lr_scheduler.LambdaLR(optimizer, self._share_of_rate)

        def loss() -> Tensor:
            drawn = torch.randperm(len(rows), generator=generator)[: self.batch_size]
            return self.loss(prompts, rows[drawn], types[drawn])

        descend(optimizer, loss, steps=self.steps, decline=decline)
        with torch.no_grad():
            self.learned.store({"texts": prompts(self.encoder)})
        return self

    def _share_of_rate(self, step: int) -> float:
        if step < self.steps / 50:
            return WARM_UP / self.rate
        return (1 + math.cos(math.pi * step / max(1, self.steps))) / 2

    def untrained(self) -> LearnedPrompts:
        """Sentences with random words."""
        return LearnedPrompts(
            [f"{each.replace('_', ' ')}." for each in self.types],
            self.encoder.prompt_width,
            tokens=self.tokens,
            shared=self.shared,
            middle=self.place == "middle",
            seed=self.seed,
        ).to(next(self.buffers()).device)

    def loss(self, prompts: LearnedPrompts, rows: Tensor, types: Tensor) -> Tensor:
        """Cross entropy of (M, D) with types (M, K), bool; of several types each by itself."""
        logits = self.scale * cosine(rows, prompts(self.encoder))
        if self.several:
            return F.binary_cross_entropy_with_logits(logits - logits.mean(1, keepdim=True), types.float())
        return F.cross_entropy(logits, types / types.sum(1, keepdim=True).clamp_min(1))

    def forward(self, seen: Tensor) -> Tensor:
        """(N, V, D) -> logits (N, K)."""
        self.learned.require()
        found = self.scale * cosine(seen.mean(1), self.learned.get_buffer("texts"))
        return found - found.mean(1, keepdim=True) if self.several else found
