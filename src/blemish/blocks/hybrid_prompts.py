"""Learned tokens for the blocks of a tower that hang on the picture as well."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from blemish.blocks.heads import draw_affine
from blemish.blocks.learned_prompts import SPREAD


class HybridPrompts(nn.Module):
    """Tokens of each block: learned ones, plus what a picture's embedding adds to them in every block (AdaCLIP).

    width, condition: of the tokens, and of the embedding. blocks: the numbers of those that tokens enter.
    """

    def __init__(self, width: int, condition: int, *, tokens: int, blocks: Sequence[int], seed: int = 0) -> None:
        super().__init__()
        self.blocks, self.tokens = tuple(blocks), tokens
        generator = torch.Generator().manual_seed(seed)
        self.static = nn.Parameter(torch.randn(len(self.blocks), tokens, width, generator=generator) * SPREAD)
        self.dynamic = draw_affine(condition, tokens * width, generator)

    def forward(self, embedding: Tensor) -> dict[int, Tensor]:
        """(N, D) -> the tokens of each block (N, tokens, width), by its number."""
        added = self.dynamic(embedding).unflatten(1, (self.tokens, -1))
        return {block: added + tokens for block, tokens in zip(self.blocks, self.static, strict=True)}
