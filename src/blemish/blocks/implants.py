"""Adapters between the blocks of a frozen tower, of which what they say on the way is compared with words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.blocks.adapters import draw_linear
from blemish.types import Encoder, SeamEncoder


class Implants(nn.Module):
    """Two descriptions of each layer, m = LeakyReLU(W z), and .8 z + .1 of LeakyReLU(V m) of either goes on (MVFA).

    layers: their numbers. output: width of the descriptions. weight: of each addition. Where an encoder has no seams
    nothing goes on, and neither does it behind the last layer, where no description hangs on it.
    """

    def __init__(
        self, encoder: Encoder, layers: Sequence[int], output: int, *, weight: float = 0.1, seed: int = 0
    ) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.layers, self.weight, self.inside = tuple(layers), weight, "seams" in encoder.can
        places = [(layer, encoder.widths[layer - 1]) for layer in self.layers for _ in range(2)]
        self.inward = nn.ModuleList(draw_linear(width, output, draw) for _, width in places)
        back = [width for layer, width in places if self.inside and layer < max(self.layers)]
        self.outward = nn.ModuleList(draw_linear(output, width, draw) for width in back)

    def forward(self, encoder: Encoder, images: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """The first descriptions of all layers and the second ones, unit vectors (N, h, w, output)."""
        if self.inside:
            found = self._implant(cast(SeamEncoder, encoder), images)
        else:
            patches = encoder(images, layers=self.layers).patches
            found = [self._describe(at, each) for at, each in enumerate(patches)]
        first, second = zip(*([F.normalize(each, dim=-1) for each in pair] for pair in found), strict=True)
        return first, second

    def _implant(self, encoder: SeamEncoder, images: Tensor) -> list[list[Tensor]]:
        found: dict[int, list[Tensor]] = {}

        def implant(tokens: Tensor, depth: int) -> Tensor:
            if depth not in self.layers:
                return tokens
            at = self.layers.index(depth)
            found[depth] = self._describe(at, tokens)
            if depth == max(self.layers):
                return tokens
            maps = self.outward[2 * at : 2 * at + 2]
            added = [F.leaky_relu(one(said)) for one, said in zip(maps, found[depth], strict=True)]
            return (1 - 2 * self.weight) * tokens + self.weight * (added[0] + added[1])

        size = encoder(images, layers=self.layers, between=implant).patches[0].shape[1:3]
        count = size[0] * size[1]
        return [[each[:, -count:].unflatten(1, size) for each in found[layer]] for layer in self.layers]

    def _describe(self, at: int, tokens: Tensor) -> list[Tensor]:
        return [F.leaky_relu(one(tokens)) for one in self.inward[2 * at : 2 * at + 2]]
