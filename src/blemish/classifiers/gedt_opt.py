"""GEDT and OPT, transductive few-shot classification of defects; read from what a survey says of the abstract: OPT is
transductive, and GEDT uses relations between features. All else is chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.described_words import SeeingInWords, word_prototypes
from blemish.blocks.describing import Balance, Describing
from blemish.blocks.graphs import assign, diffuse
from blemish.blocks.learned import Learned
from blemish.blocks.shown_types import type_means
from blemish.encoders.capabilities import geometry
from blemish.types import Encoder, TextEncoder, TypedExamples


class GEDTOPT(nn.Module):
    """Defects and examples speak for their neighbours in a graph (GEDT); then all defects of the set are assigned at
    once, by optimal transport to prototypes that move to what is assigned to them (OPT).

    prior: how often each type is among defects, {"hole": 0.7, "stain": 0.3}; else each alike.
    binding: a set with so many defects for each type is drawn half way to the prior, one alone hardly, many wholly.
    pace: weight of what is assigned to a prototype, in each of the `rounds`, beside its examples.
    says: weight of the words for a type in its prototype beside its examples; 0: the encoder need not read, and
        descriptions are of all its depths, not the space of sentences.
    A score depends on the others of the set.
    """

    texts: Tensor

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        types: Sequence[str],
        words: Mapping[str, Sequence[str]] | None = None,
        product: str = "object",
        several: bool = False,
        says: float = 0.0,
        neighbours: int = 8,
        alpha: float = 0.5,
        hops: int = 2,
        rounds: int = 10,
        pace: float = 0.3,
        temperature: float = 0.1,
        prior: Mapping[str, float] | None = None,
        binding: float = 30.0,
        image_size: int | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.types, self.several = encoders.load(encoder), tuple(types), several
        self.words, self.product, self.says = dict(words or {}), product, says
        self.neighbours, self.alpha, self.hops, self.rounds = neighbours, alpha, hops, rounds
        self.pace, self.temperature, self.binding = pace, temperature, binding
        self.prior = dict(prior or dict.fromkeys(types, 1.0))
        self.image_size, self.geometry = image_size, geometry(self.encoder, image_size)
        self.memory, self.balance = Learned("rows: M D", "types: M K"), Balance(self.encoder)
        texts = torch.zeros(len(self.types), 0)
        if says:
            reader = cast(TextEncoder, encoders.load(self.encoder, needs={"text"}))
            texts = word_prototypes(reader, product, self.types, self.words)
        self.register_buffer("texts", texts)
        self.sight = SeeingInWords() if says else Describing()
        self.sight.encoder = self.encoder

    def look(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, D)."""
        return self.sight.look(images)

    def places(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, h, w, C)."""
        return self.sight.places(images)

    def gather(self, places: Tensor, weights: Tensor) -> Tensor:
        """(N, h, w, C), (N, h, w) -> (N, D)."""
        return self.sight.gather(places, weights)

    def fit(self, examples: TypedExamples) -> Self:
        """Keep the mean of each example's views."""
        rows = examples.seen.mean(1)
        if not self.says:
            self.balance.learn(rows)
        self.memory.store({"rows": self._rows(rows), "types": examples.types.float()})
        return self

    def forward(self, seen: Tensor) -> Tensor:
        """A set (N, V, D) -> log shares of each type (N, K)."""
        self.memory.require()
        shown, types = self.memory.get_buffer("rows"), self.memory.get_buffer("types")
        spread = diffuse(
            torch.cat([shown, self._rows(seen.mean(1))]),
            neighbours=self.neighbours, alpha=self.alpha, hops=self.hops,
        )  # fmt: skip
        shown, asked = spread[: len(shown)], spread[len(shown) :]
        prior = torch.tensor([self.prior[each] for each in self.types], device=seen.device)
        strength = len(asked) / (len(asked) + self.binding * len(self.types))
        shares = self._assign(asked, self._prototypes(shown, types), prior, strength)
        for _ in range(self.rounds):
            moved = self._prototypes(shown, types) + self.pace * type_means(asked, shares.exp())
            shares = self._assign(asked, F.normalize(moved, dim=-1), prior, strength)
        return shares - (-shares.exp()).clamp_min(1e-6 - 1).log1p() if self.several else shares

    def _assign(self, rows: Tensor, prototypes: Tensor, prior: Tensor, strength: float) -> Tensor:
        return assign(rows @ prototypes.T / self.temperature, prior, strength=strength)

    def _prototypes(self, rows: Tensor, shares: Tensor) -> Tensor:
        """(M, D), (M, K) -> (K, D)."""
        means = type_means(rows, shares)
        return F.normalize(means + self.says * self.texts if self.says else means, dim=-1)

    def _rows(self, rows: Tensor) -> Tensor:
        return F.normalize(rows, dim=-1) if self.says else self.balance(rows)
