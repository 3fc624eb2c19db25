"""Prototypes that are learned as they are, without words."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from blemish.blocks.similarity import cosine


class FreePrototypes(nn.Module):
    """One row a class for each layer, in that layer's own space (UniADet, arXiv:2601.05552), small at first."""

    def __init__(self, widths: Sequence[int], classes: int, *, spread: float = 0.02, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        rows = (torch.randn(classes, width, generator=generator) * spread for width in widths)
        self.rows = nn.ParameterList(nn.Parameter(each) for each in rows)

    def forward(self, layers: Sequence[Tensor]) -> list[Tensor]:
        """Cosine of each feature with each class: (..., C_l) per layer -> (..., K) per layer."""
        return [cosine(layer, rows) for layer, rows in zip(layers, self.rows, strict=True)]
