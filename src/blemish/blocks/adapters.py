"""Small maps that are trained inside a frozen tower, or on what its layers give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.blocks.heads import draw_affine
from blemish.errors import BadInput
from blemish.types import Encoder, SeamEncoder

LEAST_NORM = 1e-12
SMALL = 0.1  # of what a bottleneck's last map is multiplied with at first


class ResidualAdapter(nn.Module):
    """A step of fixed length: (1 - weight) z + weight |z| a / |a|, a = LeakyReLU(W z) (AA-CLIP, arXiv:2503.06661).

    What it gives has about the length that a frozen tower knows, whatever is learned.
    """

    def __init__(self, width: int, *, weight: float = 0.1, generator: torch.Generator) -> None:
        super().__init__()
        self.weight, self.linear = weight, draw_linear(width, width, generator)

    def forward(self, tokens: Tensor) -> Tensor:
        """(..., C) -> (..., C)."""
        step = F.leaky_relu(self.linear(tokens))
        length = tokens.norm(dim=-1, keepdim=True) / step.norm(dim=-1, keepdim=True).clamp_min(LEAST_NORM)
        moved: Tensor = (1 - self.weight) * tokens + self.weight * length * step
        return moved


class BottleneckAdapter(nn.Module):
    """z + W2 relu(norm(W1 z)), the width between them `reduction` times less (AdaptCLIP, arXiv:2505.09926).

    Raises BadInput where it is trained with a single row, of which a batch norm makes nothing.
    """

    def __init__(self, width: int, *, reduction: int = 4) -> None:
        super().__init__()
        self.narrow = nn.Linear(width, width // reduction, bias=False)
        self.norm = nn.BatchNorm1d(width // reduction)
        self.widen = nn.Linear(width // reduction, width, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """(..., C) -> (..., C)."""
        rows = tokens.flatten(0, -2)
        if self.training and len(rows) < 2:
            raise BadInput("a batch norm cannot learn from batches of one picture: use --batch-size 2 or more")
        moved: Tensor = self.widen(F.relu(self.norm(self.narrow(rows))))
        return tokens + moved.view_as(tokens)


class ScaledAdapter(nn.Module):
    """R z + scale W2 relu(W1 z), the width between them `reduction` times less (SCF-AD): it may change the width.

    One that keeps the width begins as z itself.
    """

    def __init__(self, width: int, output: int, *, reduction: int = 4, generator: torch.Generator) -> None:
        super().__init__()
        hidden = max(1, width // reduction)
        self.scale = nn.Parameter(torch.ones(1))
        self.narrow, self.widen = draw_affine(width, hidden, generator), draw_affine(hidden, output, generator)
        self.residual = draw_affine(width, output, generator)
        if output == width:
            nn.init.eye_(self.residual.weight)
            for parameter in (self.residual.bias, *self.widen.parameters()):
                nn.init.zeros_(parameter)

    def forward(self, tokens: Tensor) -> Tensor:
        """(..., C) -> unit vectors (..., D)."""
        moved: Tensor = self.residual(tokens) + self.scale * self.widen(F.relu(self.narrow(tokens)))
        return F.normalize(moved, dim=-1)


def adapt_block(adapters: nn.ModuleList, tokens: Tensor, depth: int) -> Tensor:
    """A `between`, see `types.SeamEncoder`: tokens (..., C) that leave the block `depth` -> those that go on."""
    return cast(Tensor, adapters[depth - 1](tokens)) if depth <= len(adapters) else tokens


class AdaptedLayers(nn.Module):
    """An encoder's layers, adapted inside it where it has seams and behind it elsewhere, and a linear map of each.

    layers: their numbers. blocks: of a transformer that have an adapter, the first ones. output: D.
    """

    def __init__(
        self, encoder: Encoder, layers: Sequence[int], output: int, *, blocks: int, weight: float, seed: int = 0
    ) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.layers, self.inside = tuple(layers), "seams" in encoder.can
        widths = [encoder.widths[layer - 1] for layer in layers]
        places = [widths[0]] * blocks if self.inside else widths
        self.adapters = nn.ModuleList(ResidualAdapter(each, weight=weight, generator=generator) for each in places)
        self.heads = nn.ModuleList(draw_linear(width, output, generator) for width in widths)
        self.whole = draw_linear(widths[-1], output, generator)

    def forward(self, encoder: Encoder, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """Unit vectors of the places of each layer (N, h, w, D), and the mean over the last layer's by a map of its own
        (N, D).
        """
        patches = self._inside(cast(SeamEncoder, encoder), images) if self.inside else self._behind(encoder, images)
        found = [F.normalize(head(each), dim=-1) for head, each in zip(self.heads, patches, strict=True)]
        return found, F.normalize(self.whole(patches[-1]), dim=-1).mean((1, 2))

    def _inside(self, encoder: SeamEncoder, images: Tensor) -> list[Tensor]:
        return [
            encoder.norm(each)
            for each in encoder(images, layers=self.layers, between=partial(adapt_block, self.adapters)).patches
        ]

    def _behind(self, encoder: Encoder, images: Tensor) -> list[Tensor]:
        layers = encoder(images, layers=self.layers).patches
        return [adapter(each) for adapter, each in zip(self.adapters, layers, strict=True)]


def draw_linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """Without bias; uniform, with the variance of Glorot & Bengio (2010)."""
    linear = cast(nn.Linear, nn.utils.skip_init(nn.Linear, inputs, outputs, bias=False))
    nn.init.xavier_uniform_(linear.weight, generator=generator)
    return linear


class Bottleneck(nn.Module):
    """W2 gelu(W1 x), little at first."""

    def __init__(self, inputs: int, outputs: int, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        self.narrow, self.widen = draw_affine(inputs, rank, generator), draw_affine(rank, outputs, generator)
        with torch.no_grad():
            self.widen.weight.mul_(SMALL)
            self.widen.bias.zero_()

    def forward(self, tokens: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs)."""
        made: Tensor = self.widen(F.gelu(self.narrow(tokens)))
        return made


class TextBridge(nn.Module):
    """Unit texts moved by a bottleneck, a quarter as wide; little at first."""

    def __init__(self, width: int, *, seed: int = 0) -> None:
        super().__init__()
        self.moved = Bottleneck(width, width, max(1, width // 4), torch.Generator().manual_seed(seed))

    def forward(self, texts: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        return F.normalize(texts + self.moved(texts), dim=-1)


def adapt_patches(adapters: Mapping[int, nn.Module], size: Sequence[int], tokens: Tensor, depth: int) -> Tensor:
    """A `between`, see `types.SeamEncoder`: the last tokens, which are patches, pass the adapter of their block."""
    if depth not in adapters:
        return tokens
    count = size[0] * size[1]
    grid = adapters[depth](tokens[:, -count:].unflatten(1, list(size)))
    return torch.cat([tokens[:, :-count], grid.flatten(1, 2)], 1)
