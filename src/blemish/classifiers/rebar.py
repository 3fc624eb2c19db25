"""Grades of rust on rebar in three stages: reference samples, concepts, and the level that both decide (2025).
Reconstructed from the abstract: the nearest reference samples of each grade by CLIP alone, a model of concepts, and a
hybrid of both. That concepts are words, ordinal regression, and how both are added are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self, cast

import torch
from torch import Tensor

from blemish import encoders
from blemish.blocks.described_words import word_prototypes
from blemish.blocks.describing import Balance
from blemish.blocks.describing_in_words import DescribingInWords
from blemish.blocks.learned import Learned
from blemish.blocks.ordinal import Ordinal, fit_ordinal
from blemish.blocks.shown_types import even_weights, first_examples
from blemish.encoders.capabilities import geometry
from blemish.errors import BadInput
from blemish.types import TextEncoder, TypedExamples


class Rebar(DescribingInWords):
    """References nearest to a picture, and where its concepts put it in the order of grades.

    order: the types from the least to the worst grade; none: as they are given. They are `grades`.
    words: concepts of grades, {"light rust": ["a few orange spots"]}; the names of grades are concepts too.
    references: of each grade, so many at most are kept. neighbours: of these the nearest count.
    temperature: of cosines with references. trust: of concepts beside these. penalty: of their squared weights.
    """

    texts: Tensor
    several = False

    def __init__(
        self,
        encoder: str | TextEncoder = encoders.DEFAULT,
        *,
        types: Sequence[str],
        order: Sequence[str] = (),
        words: Mapping[str, Sequence[str]] | None = None,
        product: str = "rebar",
        references: int = 200,
        neighbours: int = 3,
        temperature: float = 0.1,
        trust: float = 1.0,
        penalty: float = 0.01,
        image_size: int | None = None,
    ) -> None:
        super().__init__()
        self.encoder = cast(TextEncoder, encoders.load(encoder, needs={"text"}))
        self.types, self.order, self.words, self.product = tuple(types), tuple(order), dict(words or {}), product
        self.references, self.neighbours, self.temperature = references, neighbours, temperature
        self.trust, self.penalty, self.image_size = trust, penalty, image_size
        self.geometry = geometry(self.encoder, image_size)
        self.grades = tuple(each for each in self.order if each in self.types) or self.types
        if left := sorted(set(self.types) - set(self.grades)):
            raise BadInput(f"order={list(self.order)} leaves out {', '.join(left)}: name every grade, the least first")
        concepts = [each for name in self.grades for each in (name, *self.words.get(name, ()))]
        self.register_buffer("texts", word_prototypes(self.encoder, product, concepts, {}))
        self.balance, self.shown = Balance(self.encoder), Learned("rows: M D", "grades: M")
        self.concepts = Learned("mean: C", "spread: C", "slope: C", "limits: L")

    def fit(self, examples: TypedExamples) -> Self:
        """Of examples of each grade; each is the mean of its views."""
        seen, numbers = examples.seen.mean(1), torch.tensor([self.types.index(each) for each in self.grades])
        grades = examples.types[:, numbers].float().argmax(1)
        self.balance.learn(seen)
        kept = first_examples(examples.types, self.references)
        self.shown.store({"rows": self.balance(seen[kept]), "grades": grades[kept].float()})
        said = self.meaning(seen) @ self.texts.T
        mean, spread = said.mean(0), said.std(0, correction=0).clamp_min(1e-4)
        found = fit_ordinal(
            (said - mean) / spread, grades, even_weights(examples.types), levels=len(numbers), penalty=self.penalty
        )
        self.concepts.store({"mean": mean, "spread": spread} | found._asdict())
        return self

    def forward(self, seen: Tensor) -> Tensor:
        """(N, V, D) -> logits (N, K)."""
        self.shown.require()
        seen = seen.mean(1)
        found = self._references(seen) / self.temperature + self.trust * self._concepts(seen)
        return found[:, [self.grades.index(each) for each in self.types]]

    def _references(self, seen: Tensor) -> Tensor:
        """Mean cosine with the nearest references of each grade, (N, K) in the order of grades."""
        likeness = self.balance(seen) @ self.shown.get_buffer("rows").T
        grades, found = self.shown.get_buffer("grades"), []
        for number in range(len(self.grades)):
            own = likeness.masked_fill(grades != number, -torch.inf)
            near = own.topk(min(self.neighbours, own.shape[1])).values
            there = near.isfinite()
            mean = near.where(there, 0.0).sum(1) / there.sum(1).clamp_min(1)
            found.append(torch.where(there.any(1), mean, -1.0))
        return torch.stack(found, 1)

    def _concepts(self, seen: Tensor) -> Tensor:
        """Log of the probability of each grade by concepts, (N, K) in the order of grades."""
        mean, spread, slope, limits = (self.concepts.get_buffer(name) for name in self.concepts.layout)
        said = (self.meaning(seen) @ self.texts.T - mean) / spread
        return Ordinal(slope, limits).logits(said)
