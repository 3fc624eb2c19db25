"""A decoder that rebuilds tokens from a noisy bottleneck, without an attention that could focus (arXiv:2405.14325)."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def mined_cosine(there: Tensor, rebuilt: Tensor, *, share: float, factor: float) -> Tensor:
    """1 - cosine of all features of a picture as one vector, (N, h, w, C) both, mean over the pictures: a scalar.

    Dinomaly's (arXiv:2405.14325, section 3.5): of all places the `share` that are rebuilt best get `factor` times
    their gradient. The value is the same for every share, and what is there gets no gradient.
    """
    there = there.detach()
    distance = 1 - F.cosine_similarity(there, rebuilt.detach(), dim=-1)  # (N, h, w)
    hard = distance.flatten().topk(max(1, int(distance.numel() * (1 - share)))).values[-1]
    weight = torch.where(distance < hard, factor, 1.0)[..., None]
    weighted = weight * rebuilt + (1 - weight) * rebuilt.detach()
    return (1 - F.cosine_similarity(there.flatten(1), weighted.flatten(1))).mean()


class LinearAttention(nn.Module):
    """Attention whose softmax is replaced by positive features elu(x) + 1 of queries and keys (arXiv:2006.16236)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, C) -> (N, T, C), in time and memory that grow with T and not with its square."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).movedim(-3, 0).transpose(-2, -3)  # (N, heads, T, c)
        q, k = F.elu(q) + 1, F.elu(k) + 1
        whole = k.sum(-2, keepdim=True)  # (N, heads, 1, c)
        mixed = q @ (k.transpose(-2, -1) @ v) / (q * whole).sum(-1, keepdim=True)
        return cast(Tensor, self.out(mixed.transpose(-2, -3).flatten(-2)))


class Decoder(nn.Module):
    """A bottleneck with dropout, and blocks of linear attention and a perceptron, each on what the last one gave."""

    def __init__(self, width: int, depth: int, heads: int, *, dropout: float) -> None:
        super().__init__()
        drop = nn.Dropout(dropout)
        self.bottleneck = nn.Sequential(drop, *_perceptron(width, drop), drop)
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(depth))
        self.apply(_initialise)

    def forward(self, tokens: Tensor) -> list[Tensor]:
        """(N, T, C) -> what each block gives, (N, T, C), the last block's first."""
        x, found = self.bottleneck(tokens), list[Tensor]()
        for block in self.blocks:
            x = block(x)
            found.insert(0, x)
        return found


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, 1e-8), nn.LayerNorm(width, 1e-8)
        self.attention = LinearAttention(width, heads)
        self.mlp = nn.Sequential(*_perceptron(width, nn.Identity()))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return cast(Tensor, x + self.mlp(self.norm2(x)))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.01, a=-0.03, b=0.03)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _perceptron(width: int, drop: nn.Module) -> list[nn.Module]:
    return [nn.Linear(width, 4 * width, bias=False), nn.GELU(), drop, nn.Linear(4 * width, width, bias=False)]
