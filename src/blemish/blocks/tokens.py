"""Tokens of several layers with the class token of each, their neighbourhoods, and attention trained on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.blocks.heads import draw_affine
from blemish.types import Encoder, Features, Matrices, SeamEncoder


def read_tokens(
    encoder: Encoder, images: Tensor, layers: Sequence[int], *, matrices: Matrices | None = None
) -> Features:
    """Class tokens of the layers side by side (N, L C), and their patches; for a class token stands the mean of a
    layer's patches where the encoder has none. matrices: see `types.SeamEncoder`.
    """
    if {"seams", "windows"} <= encoder.can:
        return _read_classes(cast(SeamEncoder, encoder), images, layers, matrices)
    if matrices:
        patches = cast(SeamEncoder, encoder)(images, layers=layers, matrices=matrices).patches
    else:
        patches = encoder(images, layers=layers).patches
    return Features(torch.cat([each.mean((1, 2)) for each in patches], 1), patches)


def _read_classes(encoder: SeamEncoder, images: Tensor, layers: Sequence[int], matrices: Matrices | None) -> Features:
    first: dict[int, Tensor] = {}

    def keep(tokens: Tensor, depth: int) -> Tensor:
        first[depth] = tokens[:, 0]
        return tokens

    patches = encoder(images, layers=layers, between=keep, matrices=matrices).patches
    return Features(torch.cat([first[layer].float() for layer in layers], 1), patches)


def blur_neighbours(patches: Tensor, size: int, spread: float) -> Tensor:
    """Gaussian mean over each size x size neighbourhood, outside counted as 0: (N, h, w, C) -> same shape (AF-CLIP).

    spread: the Gaussian's deviation, in patches; the weights of a whole neighbourhood add up to 1.
    """
    if size == 1:
        return patches
    offsets = torch.arange(size, device=patches.device, dtype=patches.dtype) - (size - 1) / 2
    weights = torch.exp(-0.5 * (offsets / spread) ** 2)
    kernel = torch.outer(weights, weights) / weights.sum() ** 2
    planes = patches.permute(0, 3, 1, 2).flatten(0, 1).unsqueeze(1)  # (N C, 1, h, w)
    blurred = F.conv2d(planes, kernel[None, None], padding=size // 2)
    return blurred.view(patches.shape[0], -1, *patches.shape[1:3]).permute(0, 2, 3, 1)


class SelfAttention(nn.Module):
    """Of each token goes on what it attends to, behind a norm; nothing is added to what it was (AF-CLIP)."""

    def __init__(self, width: int, *, heads: int = 8, head_width: int = 64, seed: int = 0) -> None:
        super().__init__()
        inner, generator = heads * head_width, torch.Generator().manual_seed(seed)
        self.heads, self.norm = heads, nn.LayerNorm(width)
        self.roles = draw_affine(width, 3 * inner, generator, bias=False)
        self.out = draw_affine(inner, width, generator)

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, T, C) -> (N, T, C)."""
        q, k, v = self.roles(self.norm(tokens)).unflatten(-1, (3, self.heads, -1)).movedim(-3, 0).transpose(-2, -3)
        mixed: Tensor = self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return mixed


class CrossAttention(nn.Module):
    """To each token is added what it attends to among others, little at first; widths may differ (DMA)."""

    def __init__(
        self, width: int, other: int, *, heads: int = 8, head_width: int = 8, generator: torch.Generator
    ) -> None:
        super().__init__()
        inner = heads * head_width
        self.heads, self.query = heads, draw_affine(width, inner, generator, bias=False)
        self.key_value = draw_affine(other, 2 * inner, generator, bias=False)
        self.out = draw_affine(inner, width, generator, bias=False)

    def forward(self, tokens: Tensor, others: Tensor) -> Tensor:
        """(N, T, C), (N, S, E) -> (N, T, C)."""
        q = self.query(F.layer_norm(tokens, tokens.shape[-1:])).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        both = self.key_value(F.layer_norm(others, others.shape[-1:])).unflatten(-1, (2, self.heads, -1))
        k, v = both.movedim(-3, 0).transpose(-2, -3)
        added: Tensor = self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return tokens + added
