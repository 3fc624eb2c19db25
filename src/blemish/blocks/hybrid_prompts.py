"""Learned tokens for the blocks of a tower that hang on the picture as well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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


def gather_prompts(theirs: Mapping[str, Tensor], tower: str, prompts: HybridPrompts) -> dict[str, Tensor]:
    """Of AdaCLIP's file, which has tokens a block, from 0, and a linear map a token: ours, without what it lacks."""
    names = [f"{tower}_prompter.static_prompts.{block - 1}" for block in prompts.blocks]
    static = [theirs[name] for name in names if name in theirs]
    found = {"static": torch.stack(static)} if static else {}
    for part in ("weight", "bias"):
        names = [f"dynamic_{tower}_prompt_generator.head.{token}.{part}" for token in range(prompts.tokens)]
        maps = [theirs[name] for name in names if name in theirs]
        found |= {f"dynamic.{part}": torch.cat(maps)} if maps else {}
    return found
