"""Many short token sequences of one picture through a vision transformer, with nothing computed twice.

A window's tokens are the picture's own, so the first block's queries, keys and values are computed once and gathered;
after the last block's attention only the class tokens go on. All scales share one matrix product a layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from blemish.encoders.transformer import Block
from blemish.errors import BadInput

if TYPE_CHECKING:
    from blemish.encoders.vit import VisionTransformer


def encode_windows(vit: VisionTransformer, images: Tensor, windows: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Projected class token of each window: (W_s, k_s) patch numbers -> (N, W_s, D) float32 per scale."""
    if not vit.config.prefix:
        raise BadInput("windows are read from the class token, and this encoder has none")
    lead = vit.config.prefix + vit.config.registers
    rows = [torch.cat([torch.arange(lead).expand(len(w), -1), w + lead], 1) for w in windows]
    # One picture at a time: its activations stay in the last cache level, its scores are the same in any batch.
    found = [_encode(vit, tokens, [r.to(tokens.device) for r in rows]) for tokens in vit.embed(images)]
    return tuple(torch.stack(scale).float() for scale in zip(*found, strict=True))


def _encode(vit: VisionTransformer, tokens: Tensor, windows: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """One picture's tokens (T, C) and token numbers (W_s, L_s) -> (W_s, D) per scale."""
    first, *rest = cast("list[Block]", list(vit.blocks))
    numbers = torch.cat([window.flatten() for window in windows])
    sizes = [tuple(window.shape) for window in windows]
    x = tokens[numbers]  # (sum W_s * L_s, C)
    qkv = first.qkv(first.norm1(tokens))[numbers]
    block = first
    for following in rest:
        x = x + block.out(_attend(qkv, sizes, block.heads))
        x = x + block.mlp(x)
        block = following
        qkv = block.qkv(block.norm1(x))
    classes = torch.cat([scale[:, 0] for scale in _split(torch.arange(len(x), device=x.device), sizes)])
    x = x[classes] + block.out(_attend(qkv, sizes, block.heads, queries=1))  # (sum W_s, C)
    x = x + block.mlp(x)
    return torch.split(vit.project(x), [w for w, _ in sizes])


def _attend(qkv: Tensor, sizes: Sequence[tuple[int, ...]], heads: int, queries: int | None = None) -> Tensor:
    """Attention within each window, of its first `queries` tokens: (sum W_s * L_s, 3C) -> (sum W_s * queries, C)."""
    mixed = []
    for scale in _split(qkv, sizes):
        q, k, v = scale.reshape(*scale.shape[:2], 3, heads, -1).permute(2, 0, 3, 1, 4)  # (W, heads, L, c)
        # Plain products: on sequences of 5 to 10 tokens a fused kernel spends its time on being called.
        weights = (q[:, :, :queries] @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(-1)
        mixed.append((weights @ v).transpose(1, 2).flatten(2).flatten(0, 1))
    return torch.cat(mixed)


def _split(rows: Tensor, sizes: Sequence[tuple[int, ...]]) -> list[Tensor]:
    """Joined rows -> (W_s, L_s, ...) per scale."""
    parts = torch.split(rows, [w * length for w, length in sizes])
    return [part.reshape(*size, *part.shape[1:]) for part, size in zip(parts, sizes, strict=True)]
