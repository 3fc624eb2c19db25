"""A frozen text tower that learns a little: adapters behind its first blocks, and a projection of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.blocks.adapters import ResidualAdapter, adapt_block, draw_linear
from blemish.blocks.joint_space import read_in_words
from blemish.types import Between, Head, PromptEncoder, TextEncoder


@dataclass(frozen=True, slots=True)
class ChangedReader:
    """Reads sentences by an encoder whose text tower is changed; the arguments are those of `encode_prompts`."""

    encoder: PromptEncoder
    deep: Mapping[int, Tensor] | None = None
    between: Between | None = None
    head: Head | None = None

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """(len(texts), D), not normalised, with gradients."""
        prompts = [(text,) for text in texts]
        return self.encoder.encode_prompts(prompts, deep=self.deep, between=self.between, head=self.head)


class TextAdapters(nn.Module):
    """Residual adapters behind the first `blocks`, and LeakyReLU(W x) instead of the projection (AA-CLIP).

    width, output: of the words' vectors, and of the sentences'.
    """

    def __init__(self, width: int, output: int, *, blocks: int, weight: float, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.adapters = nn.ModuleList(ResidualAdapter(width, weight=weight, generator=generator) for _ in range(blocks))
        self.head = draw_linear(width, output, generator)

    def forward(self, encoder: PromptEncoder) -> ChangedReader:
        """The encoder as it reads with them."""
        between = partial(adapt_block, self.adapters)
        return ChangedReader(encoder, between=between, head=lambda end: F.leaky_relu(self.head(end)))


@torch.no_grad()
def text_targets(encoder: TextEncoder, images: Tensor, layers: Sequence[int] | None) -> list[Tensor]:
    """What texts are taught by: unit patches in their space, and the picture's unit embedding added: (N, h, w, D) each.

    Of a transformer patches are read where values attend to values, as in AnomalyCLIP. layers: the last by default.
    """
    whole, patches = read_in_words(encoder, images, layers or [encoder.depth], normed=True)
    return [F.normalize(each, dim=-1) + F.normalize(whole, dim=-1)[:, None, None] for each in patches]
