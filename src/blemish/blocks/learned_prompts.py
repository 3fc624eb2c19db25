"""Sentences of which the first words are learned (CoOp, arXiv:2109.01134)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.types import PromptEncoder

SPREAD = 0.02  # of the tokens before training


class LearnedPrompts(nn.Module):
    """`tokens` learned words before each suffix, which has its own, and `deep_tokens` that all share.

    The latter replace the first words on entering each of `blocks` of the text tower (AnomalyCLIP, arXiv:2310.18961).
    """

    def __init__(
        self,
        suffixes: Sequence[str],
        width: int,
        *,
        tokens: int,
        deep_tokens: int = 0,
        blocks: Sequence[int] = (),
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.suffixes, self.blocks = tuple(suffixes), tuple(blocks)
        generator = torch.Generator().manual_seed(seed)
        self.context = nn.Parameter(torch.randn(len(suffixes), tokens, width, generator=generator) * SPREAD)
        self.deep = nn.Parameter(torch.randn(len(blocks), deep_tokens, width, generator=generator) * SPREAD)

    def forward(self, encoder: PromptEncoder) -> Tensor:
        """Unit embeddings of the sentences, a row a suffix: (P, D)."""
        prompts = list(zip(self.context, self.suffixes, strict=True))
        deep = dict(zip(self.blocks, self.deep, strict=True))
        return F.normalize(encoder.encode_prompts(prompts, deep=deep), dim=-1)


class SharedPrompt(nn.Module):
    """`tokens` learned words that all sentences share, in front of each and of its start token (AF-CLIP)."""

    def __init__(
        self, sentences: Sequence[str], width: int, *, tokens: int, spread: float = 0.01, seed: int = 0
    ) -> None:
        super().__init__()
        self.sentences = tuple(sentences)
        generator = torch.Generator().manual_seed(seed)
        self.context = nn.Parameter(torch.randn(tokens, width, generator=generator) * spread)

    def forward(self, encoder: PromptEncoder) -> Tensor:
        """Unit embeddings of the sentences: (P, D)."""
        prompts = [(sentence,) for sentence in self.sentences]
        return F.normalize(encoder.encode_prompts(prompts, ahead=self.context), dim=-1)
