"""The embedded pair with tokens: transformer blocks over all places of the third stage, in place of residual ones.

Below them are strided convolutions to stride 16, above them the last stage, the neck and the words as they are. An
experiment, trained by `embedded.py --tokens`; what it gave is in the section `students` of RESULTS.md.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from blemish import encoders
from blemish.encoders.checkpoints.building import load_tensors
from blemish.encoders.embedded.description import build_network
from blemish.encoders.embedded.network import Embedded, EmbeddedConfig
from blemish.encoders.transformer import Block
from blemish.pretrain.pipeline import trainable

SHAPE = EmbeddedConfig(depths=(1, 1, 12, 1))
"""As wide as the shipped network, which has 2, 4, 6 and 2 blocks, and of about its time and number of weights."""
HEAD = 64
"""Channels of a head."""


class Tokens(nn.Module):
    """Half the grid, where each place is from a convolution (arXiv:2102.10882), and blocks that look at all places."""

    def __init__(self, inputs: int, width: int, blocks: int) -> None:
        super().__init__()
        self.halve = nn.Conv2d(inputs, width, 3, 2, 1)
        self.place = nn.Conv2d(width, width, 3, 1, 1, groups=width)
        self.blocks = nn.ModuleList(Block(width, width // HEAD, 4 * width) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C', h / 2, w / 2)."""
        x = self.halve(x)
        x = x + self.place(x)
        tokens = x.flatten(2).transpose(1, 2)  # (N, hw, C')
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens).transpose(1, 2).unflatten(2, x.shape[2:])


def with_tokens(model: Embedded) -> Embedded:
    """The same pair with new blocks, as many and as wide as its third stage has."""
    c = model.config
    model.trunk.stages[2] = Tokens(c.widths[1], c.widths[2], c.depths[2])
    return model


def load(name: str) -> Embedded:
    """A model of `embedded.py` by its name or its file, with tokens or without."""
    tensors = load_file(name) if Path(name).is_file() else {}
    if not any(".qkv." in each and each.startswith("trunk.") for each in tensors):
        return trainable(encoders.load(name))
    stated, weights = build_network(tensors, name)
    with torch.device("meta"):
        model = with_tokens(stated)
    model = load_tensors(model, weights, name).requires_grad_(False).eval()
    return model.to(memory_format=torch.channels_last)
