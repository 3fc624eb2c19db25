"""CLIP's residual network with its attention pool (arXiv:2103.00020)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.encoders.cnn import STRIDE, ResNetConfig, Tower
from blemish.encoders.inputs import refuse_seams
from blemish.errors import BadInput
from blemish.types import Attention, Between, Features, Matrices


class ModifiedResNet(Tower):
    """CLIP's residual network (arXiv:2103.00020, section 2.3.1): deep stem, smooth strides, attention pool."""

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__(config, smooth=True)
        first, second, third = config.stem
        self.stem = nn.ModuleList(
            [nn.Conv2d(3, first, 3, 2, 1), nn.Conv2d(first, second, 3, 1, 1), nn.Conv2d(second, third, 3, 1, 1)]
        )
        self.attention = AttentionPool(config)

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
        """Image embedding (N, D), and the named stages' maps (N, h, w, C), as float32; it has no seams.

        projected: the last stage's map in the space of the image embedding, through the value and output projections
            of the attention pool at each place (MaskCLIP, arXiv:2112.01071, Eq. 2).
        """
        refuse_seams(
            self.name, attention=attention, last=last, between=between, extra=extra, normed=normed, matrices=matrices
        )
        x = self.normalise(images, layers, multiple=STRIDE)
        if projected and set(layers) - {self.depth}:
            raise BadInput(f"only layer {self.depth} of a residual CLIP can be projected into the joint space")
        for convolution in self.stem:
            x = F.relu(convolution(x))
        x, kept = self.run(F.avg_pool2d(x, 2), layers)
        x = x.float()
        if projected and layers:
            kept[self.depth] = self.attention.dense(x)
        return Features(self.attention(x), tuple(kept[n] for n in layers))

    def project(self, places: Tensor) -> Tensor:
        """The last stage's places in the space of the image embedding: (..., C) -> (..., D)."""
        return self.attention.project(places)


class AttentionPool(nn.Module):
    """One attention layer whose query is the mean of all places."""

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        width, self.side = config.widths[-1], config.image_size // STRIDE
        self.heads, self.patch_size = config.heads, STRIDE
        self.fixed: dict[tuple[int, int], Tensor] = {}  # tables of other grids, for graphs, which resize none
        self.positions = nn.Parameter(torch.zeros(1 + self.side**2, width))
        self.q, self.k, self.v = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, width)
        self.out = nn.Linear(width, config.output)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, D)."""
        places = x.flatten(2).transpose(1, 2)
        tokens = torch.cat([places.mean(1, keepdim=True), places], 1) + self.position_table(*x.shape[2:])
        roles = (self.q(tokens[:, :1]), self.k(tokens), self.v(tokens))
        q, k, v = (role.unflatten(-1, (self.heads, -1)).transpose(1, 2) for role in roles)
        mixed = F.scaled_dot_product_attention(q, k, v)  # (N, heads, 1, c)
        return cast(Tensor, self.out(mixed.flatten(1)))

    def dense(self, x: Tensor) -> Tensor:
        """Each place as if it were all that is attended to: (N, C, h, w) -> (N, h, w, D)."""
        return self.project(x.permute(0, 2, 3, 1))

    def project(self, places: Tensor) -> Tensor:
        """Value and output projections: (..., C) -> (..., D)."""
        return cast(Tensor, self.out(self.v(places)))

    def position_table(self, height: int, width: int) -> Tensor:
        """The position table resized to height x width places; the mean's row is kept as it is."""
        if (height, width) == (self.side, self.side):
            return self.positions
        if torch.compiler.is_exporting() and (height, width) in self.fixed:
            return self.fixed[height, width]
        grid = self.positions[1:].T.reshape(1, -1, self.side, self.side).float()
        resized = F.interpolate(grid, (height, width), mode="bicubic", antialias=True)
        return torch.cat([self.positions[:1], resized[0].flatten(1).T.to(self.positions.dtype)])
