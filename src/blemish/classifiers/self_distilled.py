"""Self-distillation of a vision-language model for defects, with metadata in its prompts (2025). Reconstructed from the
abstract: a self-distilled contrastive loss, prompts with the product's category and management number, and likeness of
picture and text at inference. Temperatures are those that are known; what is trained, and for how long, are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product as choices
from typing import Self, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.alignment import principal_axes
from blemish.blocks.descent import descend
from blemish.blocks.described_words import word_prototypes
from blemish.blocks.describing import Balance
from blemish.blocks.describing_in_words import DescribingInWords
from blemish.blocks.learned import Learned
from blemish.blocks.shown_types import even_weights, type_errors
from blemish.encoders.capabilities import geometry
from blemish.errors import BadInput
from blemish.types import TextEncoder, TypedExamples

MOST = 4
"""Kinds of metadata; sentences are made of every choice of them."""


class SelfDistilled(DescribingInWords):
    """Cosine with words of a picture's embedding, moved as a student learned from labels and from its own teacher.

    The teacher is the student's running mean; it sees another view of each example and all metadata, the student a part
    of them, so that it survives where there are none. Types may be two, as in the paper: one good and one not.

    metadata: what else is known of the product, {"line": "line 3", "id": "A17"}, said in every sentence.
    dropout: chance that the student is not told one of them. momentum: of the teacher.
    teacher, student: temperatures of cosines. distil: weight of the teacher beside the labels.
    """

    texts: Tensor

    def __init__(
        self,
        encoder: str | TextEncoder = encoders.DEFAULT,
        *,
        types: Sequence[str],
        words: Mapping[str, Sequence[str]] | None = None,
        product: str = "object",
        metadata: Mapping[str, str] | None = None,
        several: bool = False,
        dropout: float = 0.5,
        momentum: float = 0.9,
        teacher: float = 0.04,
        student: float = 0.1,
        distil: float = 1.0,
        rank: int = 128,
        steps: int = 60,
        rate: float = 0.01,
        seed: int = 0,
        image_size: int | None = None,
    ) -> None:
        super().__init__()
        self.encoder = cast(TextEncoder, encoders.load(encoder, needs={"text"}))
        self.types, self.words, self.product, self.several = tuple(types), dict(words or {}), product, several
        self.metadata, self.dropout, self.momentum, self.distil = dict(metadata or {}), dropout, momentum, distil
        self.teacher, self.student, self.rank = teacher, student, rank
        self.steps, self.rate, self.seed = steps, rate, seed
        if len(self.metadata) > MOST:
            raise BadInput(f"metadata of {len(self.metadata)} kinds: at most {MOST} are said in a sentence")
        self.image_size, self.geometry = image_size, geometry(self.encoder, image_size)
        said = [" ".join([product, *each]) for each in self._choices()]
        texts = [word_prototypes(self.encoder, each, self.types, self.words) for each in said]
        self.register_buffer("texts", torch.stack(texts))  # (S, K, E), all metadata first and none last
        self.balance, self.moves = Balance(self.encoder), Learned("axes: D R", "slope: R E", "offset: E")

    def fit(self, examples: TypedExamples) -> Self:
        """Of examples of each type, in several views where there are any."""
        self.balance.learn(examples.seen.flatten(0, 1))
        rows = self.balance(examples.seen)  # (M, V, D)
        axes = principal_axes(rows.flatten(0, 1), self.rank)
        meant, small = self.meaning(examples.seen), rows @ axes
        weights, generator = even_weights(examples.types), torch.Generator().manual_seed(self.seed)
        own = [rows.new_zeros(axes.shape[1], meant.shape[-1]).requires_grad_(), rows.new_zeros(meant.shape[-1])]
        own[1].requires_grad_()
        mean, optimizer = [each.detach().clone() for each in own], torch.optim.AdamW(own, lr=self.rate)
        decline = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)

        def loss() -> Tensor:
            near, far = torch.randint(rows.shape[1], (2, len(rows)), generator=generator)
            place, every = self._draw(generator), torch.arange(len(rows))
            logits = _cosines(meant[every, near], small[every, near], own, self.texts[place]) / self.student
            aim = _cosines(meant[every, far], small[every, far], mean, self.texts[0]) / self.teacher
            errors = type_errors(logits, examples.types, several=self.several)
            return (weights * (errors + self.distil * self._apart(logits, aim))).sum()

        def follow() -> None:
            for kept, each in zip(mean, own, strict=True):
                kept.lerp_(each.detach(), 1 - self.momentum)

        descend(optimizer, loss, steps=self.steps, decline=decline, after=follow)
        self.moves.store({"axes": axes, "slope": mean[0], "offset": mean[1]})
        return self

    def forward(self, seen: Tensor) -> Tensor:
        """(N, V, D) -> logits (N, K)."""
        self.moves.require()
        seen = seen.mean(1)
        axes, *moves = (self.moves.get_buffer(name) for name in self.moves.layout)
        return _cosines(self.meaning(seen), self.balance(seen) @ axes, moves, self.texts[0]) / self.teacher

    def _choices(self) -> list[list[str]]:
        """Metadata that are said: all of them, parts, and none, in one order."""
        return [
            [said for said, kept in zip(self.metadata.values(), each, strict=True) if kept]
            for each in choices((True, False), repeat=len(self.metadata))
        ]

    def _draw(self, generator: torch.Generator) -> int:
        """Number of the choice of metadata that the student is told."""
        lost = torch.rand(len(self.metadata), generator=generator) < self.dropout
        return sum(2**place for place, each in enumerate(reversed(lost.tolist())) if each)

    def _apart(self, logits: Tensor, aim: Tensor) -> Tensor:
        """Cross entropy of the student's logits with the teacher's, (M, K) each: (M,)."""
        if self.several:
            return F.binary_cross_entropy_with_logits(logits, aim.sigmoid(), reduction="none").sum(1)
        return -(aim.softmax(1) * logits.log_softmax(1)).sum(1)


def _cosines(meant: Tensor, small: Tensor, moves: Sequence[Tensor], texts: Tensor) -> Tensor:
    slope, offset = moves
    return F.normalize(meant + small @ slope + offset, dim=-1) @ texts.T
