"""One vision transformer for every layout: what makes people fork CLIP is an argument here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.encoders.config import ViTConfig
from blemish.encoders.inputs import check_images, check_layers
from blemish.encoders.transformer import ATTENTIONS, Block, keep, product
from blemish.errors import BadInput
from blemish.types import Attention, Between, Capability, Features, Matrices


class VisionTransformer(nn.Module):
    """Images (N, 3, H, W) in [0, 1] -> Features; H and W are any multiples of the patch size."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.config = c = config
        self.name, self.sha256 = "", ""
        self.image_size, self.patch_size, self.depth = c.image_size, c.patch_size, c.depth
        self.width, self.widths = c.output or c.width, (c.width,) * c.depth
        self.sees_regions = c.alpha
        self.can: frozenset[Capability] = frozenset({"seams", "windows"} if c.prefix else {"seams"})
        grid = c.image_size // c.patch_size
        self.patch = nn.Conv2d(3, c.width, c.patch_size, c.patch_size)
        self.alpha = nn.Conv2d(1, c.width, c.patch_size, c.patch_size, bias=False) if c.alpha else None
        self.prefix = nn.Parameter(torch.zeros(c.prefix, c.width))
        self.registers = nn.Parameter(torch.zeros(c.registers, c.width))
        self.positions = nn.Parameter(torch.zeros(grid * grid + c.prefix * c.prefix_positions, c.width))
        self.norm_pre = nn.LayerNorm(c.width, c.epsilon) if c.norm_pre else nn.Identity()
        self.blocks = nn.ModuleList(
            Block(c.width, c.heads, c.hidden, activation=c.activation, epsilon=c.epsilon) for _ in range(c.depth)
        )
        self.norm = nn.LayerNorm(c.width, c.epsilon) if c.norm_last else nn.Identity()
        self.projection = nn.Linear(c.width, c.output, bias=False) if c.output else nn.Identity()
        self.fixed: dict[tuple[int, int], Tensor] = {}  # tables of other grids, for graphs, which resize none
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
        normed: bool = True,
        matrices: Matrices | None = None,
    ) -> Features:
        """Image embedding (N, D) and patch tokens (N, h, w, C) leaving each of `layers` (numbered from 1), as float32.

        projected: patch tokens pass the last norm and the projection, into the space of the image embedding.
        attention, last: the last `last` blocks carry a second stream of patch tokens with self-self attention and no
            MLP (AnomalyCLIP's DPAM: y <- y + VV(x)); patches are read from it, the image embedding never is.
            "echo" is LECLIP's, see `Block.attend_self`.
        between: called as `between(tokens, depth)` after every block; its result goes on.
        extra: depth -> (n, C) or (N, n, C) learned tokens that enter that block behind the patches, replacing the
            former ones; they are cut off from the output.
        normed: the image embedding passes the last norm, as it did when CLIP was trained; AnomalyCLIP's and AdaptCLIP's
            code leaves that out.
        matrices: called as `matrices(depth, name, weight)` for "qkv" and "out" of every block's attention; what it
            gives is used in their place (LoRA).
        """
        depth = self.config.depth
        check_layers(layers, depth)
        if attention not in ATTENTIONS:
            raise BadInput(f"unknown attention {attention!r}: choose one of {', '.join(ATTENTIONS)}")
        size = self.grid(images)
        x = self.embed(images)  # (N, T, C), T = prefix + registers + h * w
        own, side, kept = x.shape[1], x, {}
        for number, block in enumerate(self.blocks, start=1):
            assert isinstance(block, Block)
            swap = partial(matrices, number) if matrices else keep
            if extra and number in extra:
                tokens = extra[number].to(x.dtype)  # (n, C) or (N, n, C)
                x = torch.cat([x[:, :own], tokens.expand(x.shape[0], -1, -1)], 1)  # (N, T + n, C)
            # The second stream is fed by the first and feeds nothing: (N, T, C).
            if second := attention != "qkv" and number > depth - last:
                side = side + block.attend_self(x, attention, swap)[:, :own]
            x = block(x, swap=swap)  # (N, T + n, C)
            x = x if between is None else between(x, number)
            side = side if second else x[:, :own]
            if number in layers:
                kept[number] = self._patches(side, size, projected)  # (N, h, w, C or D)
        return Features(self.pool(x[:, :own], normed=normed).float(), tuple(kept[n] for n in layers))

    def encode_windows(self, images: Tensor, windows: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Image embedding from the patches of each window alone: (W_s, k_s) patch numbers -> (N, W_s, D) per scale.

        Nothing is computed twice: a window's tokens are the picture's own, so the first block's queries, keys and
        values are computed once and gathered; after the last block's attention only class tokens go on; and all
        scales share one matrix product a layer.
        """
        if not self.config.prefix:
            raise BadInput("windows are read from the class token, and this encoder has none")
        lead = self.config.prefix + self.config.registers
        rows = [torch.cat([torch.arange(lead).expand(len(w), -1), w + lead], 1) for w in windows]
        # One picture at a time: its activations stay in the last cache level, its scores are the same in any batch.
        tokens = self.embed(images)
        encode = partial(self._encode_windows, windows=[row.to(tokens.device) for row in rows])
        if torch.compiler.is_exporting():  # a graph is for any number of pictures
            return tuple(scale.float() for scale in encode(tokens))
        return tuple(torch.stack(scale).float() for scale in zip(*map(encode, tokens), strict=True))

    def encode_regions(self, images: Tensor, regions: Tensor) -> Tensor:
        """Image embedding (N, D) of pictures that a region is shown with, (N, H, W) in [0, 1] (AlphaCLIP).

        Sun et al., arXiv:2312.03818. Raises BadInput where the checkpoint has no weights for it.
        """
        if self.alpha is None:
            raise BadInput(f"{self.name or 'this encoder'} cannot be shown a region: that takes weights of AlphaCLIP")
        x = self.embed(images, self.alpha(((regions[:, None] - 0.5) / 0.26).to(self.positions.dtype)))
        for block in self.blocks:
            x = block(x)
        return self.pool(x).float()

    def attentions(self, images: Tensor) -> list[Tensor]:
        """What each token of every block attends to, rows that add up to 1: (N, heads, T, T) a block."""
        x, found = self.embed(images), []
        for block in cast("list[Block]", list(self.blocks)):
            q, k, _ = block.split(x)
            found.append((q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(-1))
            x = block(x)
        return found

    def embed(self, images: Tensor, added: Tensor | None = None) -> Tensor:
        """Tokens that enter the first block: (N, prefix + registers + h * w, C).

        added: (N, C, h, w), to the patches.
        """
        height, width = self.grid(images)
        dtype = self.positions.dtype
        grid = self.patch(((images - self.mean) / self.std).to(dtype))  # (N, C, h, w)
        patches = (grid if added is None else grid + added).flatten(2).transpose(1, 2)  # (N, h * w, C)
        table, count = self.position_table(height, width), len(self.prefix)
        prefix: Tensor = self.prefix
        if self.config.prefix_positions:
            prefix, table = prefix + table[:count], table[count:]
        lead = torch.cat([prefix, self.registers]).expand(images.shape[0], -1, -1)  # (N, prefix + registers, C)
        tokens: Tensor = self.norm_pre(torch.cat([lead, patches + table], 1))
        return tokens

    def position_table(self, height: int, width: int) -> Tensor:
        """The position table resized to a grid of height x width patches; prefix rows are kept as they are."""
        side = self.config.image_size // self.config.patch_size
        if (height, width) == (side, side):
            return self.positions
        if torch.compiler.is_exporting() and (height, width) in self.fixed:
            return self.fixed[height, width]
        lead = len(self.positions) - side * side
        grid = self.positions[lead:].T.reshape(1, -1, side, side).float()  # (1, C, side, side)
        mode, _, how = self.config.resize.partition("-")
        if how == "offset":
            factors = ((height + 0.1) / side, (width + 0.1) / side)
            resized = F.interpolate(grid, scale_factor=factors, mode=mode)
        else:
            resized = F.interpolate(grid, (height, width), mode=mode, antialias=how == "antialias")
        return torch.cat([self.positions[:lead], resized[0].flatten(1).T.to(self.positions.dtype)])  # (lead + h * w, C)

    def grid(self, images: Tensor) -> tuple[int, int]:
        """Patches down and across; raises BadInput for anything that is not (N, 3, H, W) in whole patches."""
        patch = self.config.patch_size
        check_images(images, patch)
        return images.shape[2] // patch, images.shape[3] // patch

    def pool(self, tokens: Tensor, *, normed: bool = True) -> Tensor:
        """The image embedding from the last block's tokens: (N, T, C) -> (N, D)."""
        project = self.project if normed else self.projection
        if self.config.pool == "class":
            return cast(Tensor, project(tokens[:, 0]))
        patches = tokens[:, self.config.prefix + self.config.registers :]  # (N, h * w, C)
        return cast(Tensor, project(patches.mean(1)) if self.config.pool == "mean" else project(patches).mean(1))

    def project(self, tokens: Tensor) -> Tensor:
        """Last norm and projection: (..., C) -> (..., D)."""
        result: Tensor = self.projection(self.norm(tokens))
        return result

    def _encode_windows(self, tokens: Tensor, windows: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """One picture's tokens (T, C), or those of several, and numbers (W_s, L_s) -> (..., W_s, D) per scale."""
        first, *rest = cast("list[Block]", list(self.blocks))
        numbers = torch.cat([window.flatten() for window in windows])
        sizes = [tuple(window.shape) for window in windows]
        x = tokens[..., numbers, :]  # (..., sum W_s * L_s, C)
        qkv = first.roles(tokens)[..., numbers, :]  # (..., sum W_s * L_s, 3C)
        block = first
        for following in rest:
            x = x + product(_attend(qkv, sizes, block.heads), block.out.weight, block.out.bias)
            x = x + block.mlp(x)
            block = following
            qkv = block.roles(x)
        rows = torch.arange(len(numbers), device=x.device)[:, None]
        classes = torch.cat([scale[:, 0, 0] for scale in _split(rows, sizes)])  # (sum W_s,)
        x = x[..., classes, :] + block.out(_attend(qkv, sizes, block.heads, queries=1))  # (..., sum W_s, C)
        x = x + block.mlp(x)
        return torch.split(self.project(x), [w for w, _ in sizes], dim=-2)

    def _patches(self, tokens: Tensor, size: tuple[int, int], projected: bool) -> Tensor:
        patches = tokens[:, self.config.prefix + self.config.registers :]
        found = (self.project(patches) if projected else patches).float()
        return found.view(found.shape[0], *size, found.shape[-1])


def _attend(qkv: Tensor, sizes: Sequence[tuple[int, ...]], heads: int, queries: int | None = None) -> Tensor:
    """Attention within each window, of its first `queries` tokens:
    (..., sum W_s * L_s, 3C) -> (..., sum W_s * queries, C).
    """
    mixed = []
    for scale in _split(qkv, sizes):
        q, k, v = scale.unflatten(-1, (3, heads, -1)).movedim(-3, 0).transpose(-2, -3)  # (..., W, heads, L, c)
        # Plain products: on sequences of 5 to 10 tokens a fused kernel spends its time on being called.
        weights = _softmax(q[..., :queries, :] @ k.transpose(-1, -2) * q.shape[-1] ** -0.5)
        mixed.append((weights @ v).transpose(-2, -3).flatten(-2).flatten(-3, -2))
    return torch.cat(mixed, dim=-2)


def _softmax(rows: Tensor) -> Tensor:
    """Over the last axis: of 5 to 10 numbers it is quicker where that comes first, since many rows go at once."""
    return rows.movedim(-1, 0).contiguous().softmax(0).movedim(0, -1)


def _split(rows: Tensor, sizes: Sequence[tuple[int, ...]]) -> list[Tensor]:
    """Joined rows (..., sum W_s * L_s, C) -> (..., W_s, L_s, C) per scale."""
    parts = torch.split(rows, [w * length for w, length in sizes], dim=-2)
    return [part.unflatten(-2, size) for part, size in zip(parts, sizes, strict=True)]
