"""Zero-shot by words: CLIP, Radford et al., arXiv:2103.00020, with the prompts that Yong et al. found best, definitions
rather than names, and whole sentences: "Prompt engineering for zero-shot and few-shot defect detection and
classification using a visual-language pretrained model", Computer-Aided Civil and Infrastructure Engineering 2023.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.described_words import SeeingInWords, embed_phrases, phrases_of
from blemish.blocks.similarity import cosine
from blemish.encoders.capabilities import geometry
from blemish.types import TextEncoder, TypedExamples


class Words(SeeingInWords):
    """Cosine with the sentences about each type, by `temperature`; it learns nothing.

    words: more for a type than its name: a definition, attributes, {"crack": ["a thin dark line", "a branching line"]}.
    """

    texts: Tensor
    said: Tensor

    def __init__(
        self,
        encoder: str | TextEncoder = encoders.DEFAULT,
        *,
        types: Sequence[str],
        words: Mapping[str, Sequence[str]] | None = None,
        product: str = "object",
        several: bool = False,
        temperature: float = 0.07,
        image_size: int | None = None,
    ) -> None:
        super().__init__()
        self.encoder = cast(TextEncoder, encoders.load(encoder, needs={"text"}))
        self.types, self.words, self.product, self.several = tuple(types), dict(words or {}), product, several
        self.temperature, self.image_size = temperature, image_size
        self.geometry = geometry(self.encoder, image_size)
        self.phrases = phrases_of(self.types, self.words)
        parts = embed_phrases(self.encoder, product, self.phrases)
        self.register_buffer("texts", F.normalize(torch.stack([part.mean(0) for part in parts]), dim=-1))
        self.register_buffer("said", torch.cat(parts), persistent=False)

    def fit(self, examples: TypedExamples) -> Self:
        """Nothing: words alone decide."""
        return self

    def forward(self, seen: Tensor) -> Tensor:
        """(N, V, D) -> logits (N, K)."""
        found = cosine(seen.mean(1), self.texts) / self.temperature
        return found - found.mean(1, keepdim=True) if self.several else found

    @property
    def sayings(self) -> list[str]:
        """All phrases, those about the first type first."""
        return [phrase for group in self.phrases for phrase in group]

    def choose_words(self, seen: Tensor, numbers: Tensor) -> Tensor:
        """The phrases about these types (N,) whose sentences lie nearest to (N, V, D): (N,)."""
        about = torch.tensor([number for number, group in enumerate(self.phrases) for _ in group], device=seen.device)
        near = cosine(seen.mean(1), self.said)  # (N, P)
        return near.where(about == numbers[:, None], -torch.inf).argmax(1)
