"""A small transformer that moves patches onto the manifold of good ones (FoundAD, arXiv:2510.01934)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.errors import BadInput


class ManifoldProjector(nn.Module):
    """`depth` blocks of attention and a perceptron, `width` wide; what enters the first is added behind each.

    Raises BadInput for a width that the heads do not share alike.
    """

    def __init__(self, channels: int, *, width: int, depth: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise BadInput(f"width={width} is no multiple of heads={heads}: each head sees as many numbers")
        self.narrow, self.widen = nn.Linear(channels, width), nn.Linear(width, channels)
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, 1e-6)
        self.apply(_draw)
        for number, block in enumerate(cast("list[_Block]", self.blocks), start=1):
            for last in (block.out, block.wide[-1]):
                last.weight.data /= (2.0 * number) ** 0.5

    def forward(self, patches: Tensor) -> Tensor:
        """(N, h, w, C) -> (N, h, w, C)."""
        first = x = self.narrow(patches.flatten(1, 2))
        for block in self.blocks:
            x = block(x) + first
        return cast(Tensor, self.widen(self.norm(x)).view_as(patches))


class _Block(nn.Module):
    wide: nn.Sequential

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width, 1e-6), nn.LayerNorm(width, 1e-6)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).movedim(-3, 0).transpose(-2, -3)
        x = x + self.out(F.scaled_dot_product_attention(q, k, v).transpose(-2, -3).flatten(-2))
        return cast(Tensor, x + self.wide(self.norm2(x)))


@torch.no_grad()
def _draw(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)


def name_projector(theirs: Mapping[str, Tensor], before: str) -> dict[str, Tensor]:
    """Of the authors' file the `predictor`, by our names; it also holds a token that nothing uses."""
    names = {
        "predictor_embed": "narrow", "predictor_proj": "widen", "predictor_norm": "norm", "predictor_blocks": "blocks",
        "attn.qkv": "qkv", "attn.proj": "out", "mlp.fc1": "wide.0", "mlp.fc2": "wide.2",
    }  # fmt: skip
    found = dict[str, Tensor]()
    for name, tensor in theirs.items():
        own = name.removeprefix("predictor.")
        for one, other in names.items():
            own = own.replace(one, other)
        if own != name and not own.endswith("mask_token"):
            found[before + own] = tensor
    return found
