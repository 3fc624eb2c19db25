"""The pre-norm transformer block that every tower is built from, and which learned words a tower takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.encoders.config import Activation
from blemish.errors import BadInput
from blemish.types import Attention

ATTENTIONS: tuple[Attention, ...] = get_args(Attention)
Swap: TypeAlias = "Callable[[str, Tensor], Tensor]"
"""swap(name, weight) -> the weight that is used in its place."""


def keep(name: str, weight: Tensor) -> Tensor:
    """The weight itself."""
    return weight


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)); a layer scale is folded into the two output projections."""

    def __init__(
        self, width: int, heads: int, hidden: int, *, activation: Activation = "gelu", epsilon: float = 1e-5
    ) -> None:
        super().__init__()
        self.heads = heads
        self.activation: Activation = activation
        self.norm1 = nn.LayerNorm(width, epsilon)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, epsilon)
        self.fc1 = nn.Linear(width, hidden * (2 if activation == "swiglu" else 1))
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor, mask: Tensor | None = None, *, swap: Swap = keep) -> Tensor:
        """(N, T, C) -> (N, T, C); `mask` is True, or 0 when additive, where a query may look at a key.

        swap: what the weights of "qkv" and "out" are replaced by, in this call.
        """
        x = x + self.attend(*self.split(x, swap), mask, swap)  # (N, T, C)
        return x + self.mlp(x)

    def split(self, x: Tensor, swap: Swap = keep) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of the normed tokens: each (N, heads, T, C / heads)."""
        q, k, v = self.roles(x, swap).unflatten(-1, (3, self.heads, -1)).movedim(-3, 0).transpose(-2, -3)
        return q, k, v

    def roles(self, x: Tensor, swap: Swap = keep) -> Tensor:
        """Queries, keys and values side by side: (..., C) -> (..., 3C). Tokens are rounded for the products only."""
        own = self.qkv.weight
        return product(self.norm1(x).to(own.dtype), swap("qkv", own), self.qkv.bias)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, swap: Swap = keep) -> Tensor:
        """Projected attention: (N, heads, T, c) -> (N, T, C)."""
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)  # (N, heads, T, c)
        return self.project(mixed, swap)

    def attend_self(self, x: Tensor, mode: Attention, swap: Swap = keep) -> Tensor:
        """Attention of each named role with itself, averaged, over the values (CLIP Surgery, arXiv:2304.05653):
        (N, T, C) -> (N, T, C).

        "echo" (LECLIP): of all three, each of unit length and the sharper the longer the picture's normed tokens are.
        """
        q, k, v = self.split(x, swap)  # (N, heads, T, c) each
        roles = {"qq": q, "kk": k, "vv": v}
        if mode == "echo":
            length = self.norm1(x).norm(dim=-1).mean(-1)[:, None, None, None].to(v.dtype)  # (N, 1, 1, 1)
            units = [F.normalize(role, dim=-1) for role in roles.values()]
            pairs = [(length * unit, unit) for unit in units]
        else:
            pairs = [(roles[name], roles[name]) for name in mode.split("+")]
        mixed = [F.scaled_dot_product_attention(query, key, v) for query, key in pairs]
        return self.project(torch.stack(mixed).mean(0), swap)

    def project(self, mixed: Tensor, swap: Swap = keep) -> Tensor:
        """Heads joined and projected: (N, heads, T, c) -> (N, T, C)."""
        return product(mixed.transpose(-2, -3).flatten(-2), swap("out", self.out.weight), self.out.bias)

    def mlp(self, x: Tensor) -> Tensor:
        """The normed tokens through the two-layer perceptron: (..., C) -> (..., C)."""
        normed = self.norm2(x).to(self.fc1.weight.dtype)
        hidden = product(normed, self.fc1.weight, self.fc1.bias, self.activation)  # (..., hidden)
        return product(hidden, self.fc2.weight, self.fc2.bias)


def product(x: Tensor, weight: Tensor, bias: Tensor, activation: Activation | None = None) -> Tensor:
    """act(x W^T + b): (..., I) x (O, I) -> (..., O). In bfloat16 on a processor gelu and bias are taken in one pass."""
    learns = torch.is_grad_enabled() and any(each.requires_grad for each in (x, weight, bias))
    coarse = x.dtype == weight.dtype == torch.bfloat16  # of float32 weights autocast makes coarse ones itself
    if coarse and x.device.type == "cpu" and not learns and _fuses():
        fused = activation == "gelu"
        found = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "gelu" if fused else "none", [], "none")
        return cast(Tensor, ACTIVATIONS[activation](found) if activation and not fused else found)
    found = F.linear(x, weight, bias)
    return ACTIVATIONS[activation](found) if activation else found


def _fuses() -> bool:
    """Whether oneDNN multiplies bfloat16 here; a graph is made of standard operators."""
    if torch.compiler.is_exporting() or not torch.backends.mkldnn.is_available():
        return False
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def quick_gelu(x: Tensor) -> Tensor:
    """x * sigmoid(1.702 x): OpenAI's weights were trained with it."""
    return x * torch.sigmoid(1.702 * x)


def swiglu(x: Tensor) -> Tensor:
    """silu(first half) * second half (Shazeer, arXiv:2002.05202)."""
    gate, value = x.chunk(2, dim=-1)
    return F.silu(gate) * value


ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {"gelu": F.gelu, "quick_gelu": quick_gelu, "swiglu": swiglu}


def check_prompts(lengths: Sequence[int], deep: Mapping[int, Tensor], *, depth: int, most: int | None = None) -> None:
    """Raises BadInput for prompts of more than `most` tokens, and for `deep` tokens without a block or a place.

    lengths: tokens of each prompt without its marks.
    """
    if most is not None and max(lengths) > most:
        raise BadInput(f"a prompt has {max(lengths)} tokens, the text tower takes {most}: learn or write fewer")
    if unknown := sorted(set(deep) - set(range(1, depth + 1))):
        raise BadInput(f"deep tokens for blocks {unknown}: this text tower has blocks 1 to {depth}")
    longest = max((tokens.shape[-2] for tokens in deep.values()), default=0)
    if longest > min(lengths):
        raise BadInput(f"{longest} deep tokens replace the first {longest} of a prompt, and one has {min(lengths)}")
