"""Prompts of words and of images together. Yong et al., "Prompt engineering for zero-shot and few-shot defect detection
and classification using a visual-language pretrained model", Computer-Aided Civil and Infrastructure Engineering 2023.
Reconstructed from the abstract: definitions of the field beat general ones, whole sentences beat lists of terms, and
several modalities beat one. How both are fused is ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self, cast

from torch import Tensor

from blemish import encoders
from blemish.blocks.described_words import word_prototypes
from blemish.blocks.describing import Balance
from blemish.blocks.describing_in_words import DescribingInWords
from blemish.blocks.learned import Learned
from blemish.blocks.least_squares import fit_ridge
from blemish.blocks.shown_types import even_weights, familiarity, first_examples, spread_views
from blemish.encoders.capabilities import geometry
from blemish.types import TextEncoder, TypedExamples


class PromptImages(DescribingInWords):
    """What words say of a picture, and what it shares with pictures of each type; without examples words alone.

    Of types without an example, where others have some, words decide beside what the pictures leave to these: the more,
    the less a picture is like any example.

    trust: of words, as a share for each deviation by which a cosine exceeds those of the examples.
    penalty, sharpness, kept: as of `ridge`, which learns the pictures.
    temperature: of cosines with words, where there are no examples.
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
        trust: float = 0.1,
        penalty: float = 0.1,
        sharpness: float = 10.0,
        kept: int = 200,
        temperature: float = 0.07,
        image_size: int | None = None,
    ) -> None:
        super().__init__()
        self.encoder = cast(TextEncoder, encoders.load(encoder, needs={"text"}))
        self.types, self.words, self.product, self.several = tuple(types), dict(words or {}), product, several
        self.trust, self.penalty, self.sharpness, self.temperature = trust, penalty, sharpness, temperature
        self.kept, self.image_size, self.geometry = kept, image_size, geometry(self.encoder, image_size)
        self.register_buffer("texts", word_prototypes(self.encoder, product, self.types, self.words))
        self.balance, self.pictures = Balance(self.encoder), Learned("slope: D K", "offset: K", "known: R D")
        self.usual = Learned("mean: K", "spread: K", "lacking: K")

    def fit(self, examples: TypedExamples) -> Self:
        """Of examples of each type, each view of one a row."""
        rows, types = spread_views(examples)
        self.balance.learn(rows)
        known = self.balance(rows)
        found = fit_ridge(known, types.float(), even_weights(types), self.penalty)
        self.pictures.store(found._asdict() | {"known": known[first_examples(types, self.kept)]})
        said = self.meaning(rows) @ self.texts.T  # (M, K)
        spread = said.std(0, correction=0).clamp_min(1e-4)
        self.usual.store({"mean": said.mean(0), "spread": spread, "lacking": (~types.any(0)).float()})
        return self

    def forward(self, seen: Tensor) -> Tensor:
        """(N, V, D) -> logits (N, K)."""
        seen = seen.mean(1)
        said = self.meaning(seen) @ self.texts.T
        if not self.pictures.fitted:
            found = said / self.temperature
            return found - found.mean(1, keepdim=True) if self.several else found
        rows: Tensor = self.balance(seen)
        words = (said - self.usual.get_buffer("mean")) / self.usual.get_buffer("spread")
        known = familiarity(rows, self.pictures.get_buffer("known"))
        shares = self._shares(rows, known)
        return self.sharpness * (shares + self.trust * words + (-0.5 if self.several else known))

    def _shares(self, rows: Tensor, known: Tensor) -> Tensor:
        """Of pictures (N, D), which are so much like examples (N, 1), how much each type has: (N, K)."""
        share = rows @ self.pictures.get_buffer("slope") + self.pictures.get_buffer("offset")
        lacking, room = self.usual.get_buffer("lacking"), 1 - known.clamp(0, 1)
        if self.several:
            return share + 0.5 * room * lacking
        left = room * lacking.mean()
        return share * (1 - left) + left * lacking / lacking.sum().clamp_min(1)
