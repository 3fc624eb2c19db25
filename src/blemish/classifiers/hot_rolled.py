"""Defects of hot-rolled steel by contrastive fine-tuning of CLIP, with Grad-CAM for where it looked (2025).
Reconstructed from the abstract: the tower stays as it is, and what is tuned is a residual on its embedding, of low
rank.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.alignment import match_pictures, principal_axes
from blemish.blocks.descent import search
from blemish.blocks.described_words import word_prototypes
from blemish.blocks.describing import Balance
from blemish.blocks.describing_in_words import DescribingInWords
from blemish.blocks.explanations import explain_types, roll_out_places
from blemish.blocks.learned import Learned
from blemish.blocks.maps import upsample
from blemish.blocks.shown_types import even_weights, spread_views
from blemish.encoders.capabilities import geometry, require
from blemish.types import TextEncoder, TypedExamples


class HotRolled(DescribingInWords):
    """Cosine of words with a picture's embedding, moved by what all depths of an encoder see as contrast has taught.

    rank: of the residual. penalty: of its squared length. steps: of L-BFGS, at most. temperature: of cosines.
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
        rank: int = 128,
        penalty: float = 1e-4,
        steps: int = 30,
        temperature: float = 0.03,
        image_size: int | None = None,
    ) -> None:
        super().__init__()
        self.encoder = cast(TextEncoder, encoders.load(encoder, needs={"text"}))
        self.types, self.words, self.product, self.several = tuple(types), dict(words or {}), product, several
        self.rank, self.penalty, self.steps, self.temperature = rank, penalty, steps, temperature
        self.image_size, self.geometry = image_size, geometry(self.encoder, image_size)
        self.register_buffer("texts", word_prototypes(self.encoder, product, self.types, self.words))
        self.balance, self.moves = Balance(self.encoder), Learned("axes: D R", "slope: R E", "offset: E")

    def fit(self, examples: TypedExamples) -> Self:
        """Of examples of each type, each view of one a row."""
        rows, types = spread_views(examples)
        self.balance.learn(rows)
        meant, rows, weights = self.meaning(rows), self.balance(rows), even_weights(types)
        axes = principal_axes(rows, self.rank)
        small = rows @ axes
        slope = rows.new_zeros(axes.shape[1], meant.shape[1]).requires_grad_()
        offset = rows.new_zeros(meant.shape[1]).requires_grad_()

        def loss() -> Tensor:
            moved = F.normalize(meant + small @ slope + offset, dim=-1)
            found: Tensor = match_pictures(moved, self.texts, types, weights, self.temperature)
            found = found + self.penalty * slope.square().sum()
            return found

        search([slope, offset], loss, self.steps)
        self.moves.store({"axes": axes, "slope": slope, "offset": offset})
        return self

    def forward(self, seen: Tensor) -> Tensor:
        """(N, V, D) -> logits (N, K)."""
        self.moves.require()
        seen = seen.mean(1)
        axes, slope, offset = (self.moves.get_buffer(name) for name in self.moves.layout)
        moved = F.normalize(self.meaning(seen) + self.balance(seen) @ axes @ slope + offset, dim=-1)
        found: Tensor = moved @ self.texts.T / self.temperature
        return found - found.mean(1, keepdim=True) if self.several else found

    def heat(self, images: Tensor) -> Tensor:
        """Where each type was seen, by Grad-CAM, 0 or more: (N, 3, H, W) -> (N, K, H, W)."""
        found = explain_types(self, self.places(images))
        grids: Tensor = upsample(found.flatten(0, 1), images.shape[-2:]).unflatten(0, found.shape[:2])
        return grids

    @torch.no_grad()
    def attention(self, images: Tensor) -> Tensor:
        """Where a transformer looked, whatever type it saw, by attention roll-out: (N, 3, H, W) -> (N, H, W).

        Raises BadInput for a residual network.
        """
        tower = cast(Any, require(self.encoder, {"seams"}))
        patch = self.encoder.patch_size
        found = roll_out_places(tower.attentions(images), (images.shape[2] // patch, images.shape[3] // patch))
        return upsample(found, images.shape[-2:])
