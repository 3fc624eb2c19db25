"""GEDT and OPT, transductive few-shot classification of defects; read from what a survey says of the abstract: OPT is
transductive, and GEDT uses relations between features. All else is chosen. That a set teaches its own names again is
self-training (Lee, "Pseudo-Label", ICML workshop 2013).
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
from blemish.blocks.least_squares import Fit, fit_ridge
from blemish.blocks.shown_types import even_weights, familiarity, spread_views
from blemish.encoders.capabilities import geometry
from blemish.types import Encoder, TextEncoder, TypedExamples


class GEDTOPT(nn.Module):
    """Least squares name a set by the examples, all at once by optimal transport (OPT), and learn again of these names.

    prior: how often each type is among defects, {"hole": 0.7, "stain": 0.3}; else each alike.
    binding: a set with so many defects for each type is drawn half way to the prior, one alone hardly, many wholly.
    pace: weight of what is assigned to a type, in each of the `rounds`, beside its examples. penalty: as of `ridge`.
    hops: through a graph in which defects and examples speak for their `neighbours` (GEDT), by `alpha`, beforehand; by
        default none, since that helps where a type has one example and harms where it has ten.
    says: weight of the words for a type beside its examples; 0: the encoder need not read, and descriptions are of all
        its depths, not the space of sentences.
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
        hops: int = 0,
        rounds: int = 3,
        pace: float = 0.3,
        penalty: float = 0.1,
        temperature: float = 0.15,
        prior: Mapping[str, float] | None = None,
        binding: float = 30.0,
        image_size: int | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.types, self.several = encoders.load(encoder), tuple(types), several
        self.words, self.product, self.says = dict(words or {}), product, says
        self.neighbours, self.alpha, self.hops, self.rounds = neighbours, alpha, hops, rounds
        self.pace, self.penalty, self.temperature, self.binding = pace, penalty, temperature, binding
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
        """Keep examples, each view of one a row."""
        rows, types = spread_views(examples)
        if not self.says:
            self.balance.learn(rows)
        self.memory.store({"rows": self._rows(rows), "types": types.float()})
        return self

    def forward(self, seen: Tensor) -> Tensor:
        """A set (N, V, D) -> log shares of each type (N, K), all higher the more a defect is like any example."""
        self.memory.require()
        shown = self.memory.get_buffer("rows")
        spread = torch.cat([shown, self._rows(seen.mean(1))])
        if self.hops:
            spread = diffuse(spread, neighbours=self.neighbours, alpha=self.alpha, hops=self.hops)
        shown, asked = spread[: len(shown)], spread[len(shown) :]
        prior = torch.tensor([self.prior[each] for each in self.types], device=seen.device)
        strength, shares = len(asked) / (len(asked) + self.binding * len(self.types)), None
        for _ in range(1 + self.rounds):
            found = self._learn(shown, asked, shares)
            shares = assign((asked @ found.slope + found.offset) / self.temperature, prior, strength=strength)
        assert shares is not None
        if self.several:
            return shares - (-shares.exp()).clamp_min(1e-6 - 1).log1p()
        return shares + familiarity(asked, shown) / self.temperature

    @torch.no_grad()
    def _learn(self, shown: Tensor, asked: Tensor, shares: Tensor | None) -> Fit:
        """Of examples, words and, where they are known, log shares of the set."""
        types = self.memory.get_buffer("types")
        rows, targets, weights = [shown], [types], [even_weights(types.bool())]
        if self.says:
            itself = torch.eye(len(self.types), device=shown.device)
            rows, targets, weights = [*rows, self.texts], [*targets, itself], [*weights, self.says * itself.mean(0)]
        if shares is not None:
            own = shares.exp()
            each = own / own.sum(0).clamp_min(1e-6)
            rows, targets, weights = [*rows, asked], [*targets, own], [*weights, self.pace * each.mean(1)]
        return fit_ridge(torch.cat(rows), torch.cat(targets), torch.cat(weights), self.penalty)

    def _rows(self, rows: Tensor) -> Tensor:
        return F.normalize(rows, dim=-1) if self.says else self.balance(rows)
