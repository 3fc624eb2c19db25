"""What is trained on top of an encoder's layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn


class LayerHeads(nn.Module):
    """One linear map a layer, into a space that all share (APRIL-GAN, arXiv:2305.17382, section 3.2)."""

    def __init__(self, widths: Sequence[int], output: int, *, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.heads = nn.ModuleList(_linear(width, output, generator) for width in widths)

    def forward(self, layers: Sequence[Tensor]) -> list[Tensor]:
        """(..., C_l) per layer -> (..., output) per layer."""
        return [head(layer) for head, layer in zip(self.heads, layers, strict=True)]


def _linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """As torch draws it, but from the generator."""
    linear = cast(nn.Linear, nn.utils.skip_init(nn.Linear, inputs, outputs))
    for parameter in linear.parameters():
        nn.init.uniform_(parameter, -(inputs**-0.5), inputs**-0.5, generator=generator)
    return linear


def quarters(depth: int) -> tuple[int, ...]:
    """The layers at a quarter, a half, three quarters and the whole of the depth, each once."""
    return tuple(sorted({max(1, depth * part // 4) for part in (1, 2, 3, 4)}))
