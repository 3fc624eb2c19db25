"""What is trained on top of an encoder's layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.blocks.similarity import measure_along


class LayerHeads(nn.Module):
    """One linear map a layer, into a space that all share (APRIL-GAN, arXiv:2305.17382, section 3.2)."""

    def __init__(self, widths: Sequence[int], output: int, *, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.heads = nn.ModuleList(draw_affine(width, output, generator) for width in widths)

    def forward(self, layers: Sequence[Tensor]) -> list[Tensor]:
        """(..., C_l) per layer -> (..., output) per layer."""
        return [head(layer) for head, layer in zip(self.heads, layers, strict=True)]

    def along(self, layers: Sequence[Tensor], columns: Tensor) -> list[Tensor]:
        """`measure_along` of what `forward` gives: (N, h, w, C_l) per layer, (N or 1, 1, output, K) -> (N, h, w, K)."""
        return [_along(cast(nn.Linear, head), layer, columns) for head, layer in zip(self.heads, layers, strict=True)]


def _along(head: nn.Linear, layer: Tensor, columns: Tensor) -> Tensor:
    """Where a layer is narrower than what it is mapped to, y = Wx + b is never written out: |y|^2 is a form of x."""
    if head.in_features >= head.out_features:
        return measure_along(head(layer), columns)
    weight, bias = head.weight, head.bias
    squares = ((layer @ (weight.T @ weight) + 2 * (bias @ weight)) * layer).sum(-1, keepdim=True) + bias @ bias
    found: Tensor = layer @ (weight.T @ columns) + (bias @ columns)[..., None, :]
    return found / squares.clamp_min(1e-24).sqrt()


def gather_heads(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Of a file of APRIL-GAN's authors or MultiADS's: `trainable_linearlayer` has a map `fc.N` a layer."""
    before = "trainable_linearlayer.fc."
    return {f"heads.heads.{name[len(before) :]}": each for name, each in theirs.items() if name.startswith(before)}


class ProjectedHeads(nn.Module):
    """What each layer's patches mean in the space of sentences: the tower's own projection and a trained linear map.

    own: the width that the tower's projection takes. Where a layer has it, the trained map begins as nothing; where
    not, it is all there is. Without widths nothing is trained.
    """

    def __init__(self, widths: Sequence[int], output: int, *, own: int, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.own = own
        self.heads = nn.ModuleList(draw_affine(width, output, generator, bias=False) for width in widths)
        for width, head in zip(widths, self.heads, strict=True):
            if width == own:
                nn.init.zeros_(cast(nn.Linear, head).weight)

    def forward(self, layers: Sequence[Tensor], project: Callable[[Tensor], Tensor]) -> list[Tensor]:
        """(..., C_l) per layer -> unit vectors (..., output) per layer."""
        heads = [*self.heads] or [None] * len(layers)
        return [F.normalize(self._one(head, x, project), dim=-1) for head, x in zip(heads, layers, strict=True)]

    def _one(self, head: nn.Module | None, layer: Tensor, project: Callable[[Tensor], Tensor]) -> Tensor:
        learned: Tensor | None = head(layer) if head else None
        if learned is not None and layer.shape[-1] != self.own:
            return learned
        return project(layer) if learned is None else project(layer) + learned


class MapRefiner(nn.Module):
    """Two 3 x 3 convolutions that correct the logits of a map by what the patches show; they begin as nothing."""

    def __init__(self, width: int, *, hidden: int = 32, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.inner = cast(nn.Conv2d, nn.utils.skip_init(nn.Conv2d, width + 1, hidden, 3, padding=1))
        self.outer = cast(nn.Conv2d, nn.utils.skip_init(nn.Conv2d, hidden, 1, 3, padding=1))
        _draw(self.inner, generator)
        for parameter in self.outer.parameters():
            nn.init.zeros_(parameter)

    def forward(self, logits: Tensor, patches: Tensor) -> Tensor:
        """(N, h, w) and (N, h, w, C) of one grid -> (N, h, w)."""
        seen = torch.cat([logits[..., None], patches], -1).permute(0, 3, 1, 2)
        return logits + cast(Tensor, self.outer(F.relu(self.inner(seen)))).squeeze(1)


def draw_affine(inputs: int, outputs: int, generator: torch.Generator, *, bias: bool = True) -> nn.Linear:
    """A linear map as torch draws it, but from the generator."""
    linear = cast(nn.Linear, nn.utils.skip_init(nn.Linear, inputs, outputs, bias=bias))
    _draw(linear, generator)
    return linear


def _draw(layer: nn.Linear | nn.Conv2d, generator: torch.Generator) -> None:
    """Its parameters as torch draws them, but from the generator."""
    bound = layer.weight[0].numel() ** -0.5
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -bound, bound, generator=generator)


def quarters(depth: int) -> tuple[int, ...]:
    """The layers at a quarter, a half, three quarters and the whole of the depth, each once."""
    return tuple(sorted({max(1, depth * part // 4) for part in (1, 2, 3, 4)}))
