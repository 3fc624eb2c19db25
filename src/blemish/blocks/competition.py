"""Several prototypes of what is good, of which the best fitting one speaks."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def beat_best_normal(places: Tensor, texts: Tensor, temperature: float) -> Tensor:
    """By how much the last of unit texts (P, D) exceeds the best other: unit places (..., D) -> logits (...)."""
    cosines = places @ texts.T / temperature
    return cosines[..., -1] - cosines[..., :-1].amax(-1)


def lack_of_variety(texts: Tensor) -> Tensor:
    """Mean squared cosine of unit vectors (K, D) with each other, in [0, 1]; 0 for one alone."""
    count = len(texts)
    alike = (texts @ texts.T).square().sum() - texts.square().sum(-1).square().sum()
    return alike / max(1, count * (count - 1))


class NeighbourUnit(nn.Module):
    """x + W gelu(depthwise 3 x 3 of x), unit vectors; little is added at first."""

    def __init__(self, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.around = cast(nn.Conv2d, nn.utils.skip_init(nn.Conv2d, width, width, 3, padding=1, groups=width))
        self.mix = cast(nn.Conv2d, nn.utils.skip_init(nn.Conv2d, width, width, 1, bias=False))
        for parameter in self.around.parameters():
            nn.init.uniform_(parameter, -1 / 3, 1 / 3, generator=generator)
        nn.init.normal_(self.mix.weight, std=0.1 * width**-0.5, generator=generator)

    def forward(self, places: Tensor) -> Tensor:
        """(N, h, w, C) -> (N, h, w, C)."""
        unit = F.normalize(places, dim=-1)
        added: Tensor = self.mix(F.gelu(self.around(unit.movedim(-1, 1)))).movedim(1, -1)
        return F.normalize(unit + added, dim=-1)
