"""One vision transformer for every layout: what makes people fork CLIP is an argument here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.encoders.inputs import CLIP_MEAN, CLIP_STD, check_images, check_layers
from blemish.encoders.transformer import ATTENTIONS, Activation, Attention, Block
from blemish.encoders.windows import encode_windows
from blemish.errors import BadInput
from blemish.types import Features

Resize = Literal["bicubic", "bicubic-antialias", "bicubic-offset", "bilinear"]
"""How the position table follows the grid; "bicubic-offset" is DINO's, by the factor (n + 0.1) / side."""
Pool = Literal["class", "mean", "normed_mean"]
Between = Callable[[Tensor, int], Tensor]


@dataclass(frozen=True, slots=True)
class ViTConfig:
    """The shape of a vision transformer; `blemish.encoders.layouts` infers it from the tensors of a checkpoint."""

    image_size: int = 224
    patch_size: int = 16
    width: int = 768
    depth: int = 12
    heads: int = 12
    hidden: int = 3072
    output: int = 0  # width of the joint space; 0: no projection
    activation: Activation = "gelu"
    epsilon: float = 1e-5
    prefix: int = 1  # tokens before the patches: class, and DeiT's distillation token
    registers: int = 0
    prefix_positions: bool = True  # whether the position table covers the prefix tokens
    norm_pre: bool = False
    norm_last: bool = True
    pool: Pool = "class"  # the image embedding: class token, or mean of the patches before or after the last norm
    resize: Resize = "bicubic"
    mean: tuple[float, float, float] = CLIP_MEAN
    std: tuple[float, float, float] = CLIP_STD


class VisionTransformer(nn.Module):
    """Images (N, 3, H, W) in [0, 1] -> Features; H and W are any multiples of the patch size."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.config = c = config
        self.name, self.sha256 = "", ""
        self.image_size, self.patch_size, self.depth = c.image_size, c.patch_size, c.depth
        self.width = c.output or c.width  # of the image embedding
        grid = c.image_size // c.patch_size
        self.patch = nn.Conv2d(3, c.width, c.patch_size, c.patch_size)
        self.prefix = nn.Parameter(torch.zeros(c.prefix, c.width))
        self.registers = nn.Parameter(torch.zeros(c.registers, c.width))
        self.positions = nn.Parameter(torch.zeros(grid * grid + c.prefix * c.prefix_positions, c.width))
        self.norm_pre = nn.LayerNorm(c.width, c.epsilon) if c.norm_pre else nn.Identity()
        self.blocks = nn.ModuleList(
            Block(c.width, c.heads, c.hidden, activation=c.activation, epsilon=c.epsilon) for _ in range(c.depth)
        )
        self.norm = nn.LayerNorm(c.width, c.epsilon) if c.norm_last else nn.Identity()
        self.projection = nn.Linear(c.width, c.output, bias=False) if c.output else nn.Identity()
        # On the processor even while a loader builds the parameters without memory ("meta").
        self.register_buffer("mean", torch.tensor(c.mean, device="cpu").view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(c.std, device="cpu").view(3, 1, 1), persistent=False)

    def forward(
        self,
        images: Tensor,
        *,
        layers: Sequence[int] = (),
        projected: bool = False,
        attention: Attention = "qkv",
        last: int = 0,
        between: Between | None = None,
        extra: Mapping[int, Tensor] | None = None,
    ) -> Features:
        """Image embedding (N, D) and patch tokens (N, h, w, C) leaving each of `layers` (numbered from 1), as float32.

        projected: patch tokens pass the last norm and the projection, into the space of the image embedding.
        attention, last: the last `last` blocks carry a second stream of patch tokens with self-self attention and no
            MLP (AnomalyCLIP's DPAM: y <- y + VV(x)); patches are read from it, the image embedding never is.
        between: called as `between(tokens, depth)` after every block; its result goes on.
        extra: depth -> (n, C) or (N, n, C) learned tokens that enter that block behind the patches, replacing the
            former ones; they are cut off from the output.
        """
        depth = self.config.depth
        check_layers(layers, depth)
        if attention not in ATTENTIONS:
            raise BadInput(f"unknown attention {attention!r}: choose one of {', '.join(ATTENTIONS)}")
        size = self.grid(images)
        x = self.embed(images)
        own, side, kept = x.shape[1], x, {}
        for number, block in enumerate(self.blocks, start=1):
            assert isinstance(block, Block)
            if extra and number in extra:
                tokens = extra[number].to(x.dtype)
                x = torch.cat([x[:, :own], tokens.expand(len(x), -1, -1)], 1)
            if attention != "qkv" and number > depth - last:
                side = side + block.attend_self(x, attention)[:, :own]
                x = block(x)
            else:
                side = x = block(x)
            x = x if between is None else between(x, number)
            side = x if attention == "qkv" or number <= depth - last else side
            side = side[:, :own]
            if number in layers:
                kept[number] = self._patches(side, size, projected)
        return Features(self.pool(x[:, :own]).float(), tuple(kept[n] for n in layers))

    def encode_windows(self, images: Tensor, windows: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Embedding of the class token with only the patches of each window: (W_s, k) patch numbers -> (N, W_s, D)."""
        return encode_windows(self, images, windows)

    def embed(self, images: Tensor) -> Tensor:
        """Tokens that enter the first block: (N, prefix + registers + h * w, C)."""
        height, width = self.grid(images)
        dtype = self.positions.dtype
        patches = self.patch(((images - self.mean) / self.std).to(dtype)).flatten(2).transpose(1, 2)
        table, count = self.position_table(height, width), len(self.prefix)
        prefix: Tensor = self.prefix
        if self.config.prefix_positions:
            prefix, table = prefix + table[:count], table[count:]
        lead = torch.cat([prefix, self.registers]).expand(len(images), -1, -1)
        tokens: Tensor = self.norm_pre(torch.cat([lead, patches + table], 1))
        return tokens

    def position_table(self, height: int, width: int) -> Tensor:
        """The position table resized to a grid of height x width patches; prefix rows are kept as they are."""
        side = self.config.image_size // self.config.patch_size
        if (height, width) == (side, side):
            return self.positions
        lead = len(self.positions) - side * side
        grid = self.positions[lead:].T.reshape(1, -1, side, side).float()
        mode, _, how = self.config.resize.partition("-")
        if how == "offset":
            factors = ((height + 0.1) / side, (width + 0.1) / side)
            resized = F.interpolate(grid, scale_factor=factors, mode=mode)
        else:
            resized = F.interpolate(grid, (height, width), mode=mode, antialias=how == "antialias")
        return torch.cat([self.positions[:lead], resized[0].flatten(1).T.to(self.positions.dtype)])

    def grid(self, images: Tensor) -> tuple[int, int]:
        """Patches down and across; raises BadInput for anything that is not (N, 3, H, W) in whole patches."""
        patch = self.config.patch_size
        check_images(images, patch)
        return images.shape[2] // patch, images.shape[3] // patch

    def pool(self, tokens: Tensor) -> Tensor:
        """The image embedding from the last block's tokens: (N, T, C) -> (N, D)."""
        if self.config.pool == "class":
            return self.project(tokens[:, 0])
        patches = tokens[:, self.config.prefix + self.config.registers :]
        return self.project(patches.mean(1)) if self.config.pool == "mean" else self.project(patches).mean(1)

    def project(self, tokens: Tensor) -> Tensor:
        """Last norm and projection: (..., C) -> (..., D)."""
        result: Tensor = self.projection(self.norm(tokens))
        return result

    def _patches(self, tokens: Tensor, size: tuple[int, int], projected: bool) -> Tensor:
        patches = tokens[:, self.config.prefix + self.config.registers :]
        return (self.project(patches) if projected else patches).float().reshape(len(tokens), *size, -1)
