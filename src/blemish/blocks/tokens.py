"""Tokens of several layers, the class token of each with them, and attention that is trained on such tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.types import Encoder, Features, SeamEncoder


def read_tokens(encoder: Encoder, images: Tensor, layers: Sequence[int]) -> Features:
    """Class tokens of the layers side by side (N, L C), and their patches; for a class token stands the mean of a
    layer's patches where the encoder has none.
    """
    if not {"seams", "windows"} <= encoder.can:
        patches = encoder(images, layers=layers).patches
        return Features(torch.cat([each.mean((1, 2)) for each in patches], 1), patches)
    first: dict[int, Tensor] = {}

    def keep(tokens: Tensor, depth: int) -> Tensor:
        first[depth] = tokens[:, 0]
        return tokens

    patches = cast(SeamEncoder, encoder)(images, layers=layers, between=keep).patches
    return Features(torch.cat([first[layer].float() for layer in layers], 1), patches)


class SelfAttention(nn.Module):
    """Of each token goes on what it attends to, behind a norm; nothing is added to what it was (AF-CLIP)."""

    def __init__(self, width: int, *, heads: int = 8, head_width: int = 64, seed: int = 0) -> None:
        super().__init__()
        inner, generator = heads * head_width, torch.Generator().manual_seed(seed)
        self.heads, self.norm = heads, nn.LayerNorm(width)
        self.roles = nn.utils.skip_init(nn.Linear, width, 3 * inner, bias=False)
        self.out = nn.utils.skip_init(nn.Linear, inner, width)
        for linear, inputs in ((self.roles, width), (self.out, inner)):
            for parameter in linear.parameters():
                nn.init.uniform_(parameter, -(inputs**-0.5), inputs**-0.5, generator=generator)

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, T, C) -> (N, T, C)."""
        q, k, v = self.roles(self.norm(tokens)).unflatten(-1, (3, self.heads, -1)).movedim(-3, 0).transpose(-2, -3)
        mixed: Tensor = self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return mixed
