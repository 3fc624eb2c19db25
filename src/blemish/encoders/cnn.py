"""Residual networks, and what CLIP's shares with them. Frozen batch norms are folded into the convolutions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.encoders.config import IMAGENET_MEAN, IMAGENET_STD
from blemish.encoders.inputs import check_images, check_layers, refuse_seams
from blemish.errors import BadInput
from blemish.types import Attention, Between, Capability, Features, Matrices

STRIDE = 32


@dataclass(frozen=True, slots=True)
class ResNetConfig:
    """The shape of a residual network; `blemish.encoders.residual` infers it from the tensors of a checkpoint."""

    image_size: int = 224
    stem: tuple[int, ...] = (64,)  # channels of the convolutions before the first pooling
    depths: tuple[int, ...] = (3, 4, 6, 3)
    hidden: tuple[int, ...] = (64, 128, 256, 512)
    widths: tuple[int, ...] = (256, 512, 1024, 2048)
    basic: bool = False  # two 3 x 3 convolutions a block, not 1 x 1, 3 x 3, 1 x 1
    output: int = 0  # CLIP's: width of the joint space
    heads: int = 0  # CLIP's: of the attention pool
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD


class Tower(nn.Module):
    """What both networks are: a stem, four stages, and pixel statistics."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: ResNetConfig, *, smooth: bool) -> None:
        super().__init__()
        self.config = c = config
        self.name, self.sha256 = "", ""
        self.image_size, self.patch_size, self.depth = c.image_size, STRIDE, len(c.depths)
        self.width, self.widths = c.output or c.widths[-1], tuple(c.widths)
        self.can: frozenset[Capability] = frozenset()
        inputs = (c.stem[-1], *c.widths)
        self.stages = nn.ModuleList(
            nn.Sequential(*(
                Residual(
                    inputs[stage] if number == 0 else c.widths[stage], c.hidden[stage], c.widths[stage],
                    stride=2 if stage and not number else 1, basic=c.basic, smooth=smooth,
                )
                for number in range(c.depths[stage])
            ))
            for stage in range(self.depth)
        )  # fmt: skip
        self.register_buffer("mean", torch.tensor(c.mean, device="cpu").view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(c.std, device="cpu").view(3, 1, 1), persistent=False)

    def run(self, x: Tensor, layers: Sequence[int]) -> tuple[Tensor, dict[int, Tensor]]:
        """The last stage's map (N, C, h, w), and those of the named stages as (N, h, w, C)."""
        kept = {}
        for number, stage in enumerate(self.stages, start=1):
            x = stage(x)
            if number in layers:
                kept[number] = x.permute(0, 2, 3, 1).float()
        return x, kept

    def normalise(self, images: Tensor, layers: Sequence[int], *, multiple: int = 1) -> Tensor:
        """Images ready for the stem, in the precision of the weights; raises BadInput for unusable arguments."""
        check_images(images, multiple)
        check_layers(layers, self.depth)
        scaled = (images - self.mean) / self.std
        # The processor's convolutions are fast on channels that lie side by side.
        return scaled.to(next(self.parameters()).dtype, memory_format=torch.channels_last)


class Residual(nn.Module):
    """One residual block; `smooth` halves the grid by averaging (CLIP), otherwise a 3 x 3 convolution strides."""

    def __init__(
        self, inputs: int, hidden: int, outputs: int, *, stride: int, basic: bool = False, smooth: bool = False
    ) -> None:
        super().__init__()
        step = 1 if smooth else stride
        self.pool = nn.AvgPool2d(stride) if smooth and stride > 1 else nn.Identity()
        if basic:
            convolutions = [nn.Conv2d(inputs, hidden, 3, step, 1), nn.Conv2d(hidden, outputs, 3, 1, 1)]
        else:
            convolutions = [
                nn.Conv2d(inputs, hidden, 1),
                nn.Conv2d(hidden, hidden, 3, step, 1),
                nn.Conv2d(hidden, outputs, 1),
            ]
        self.convolutions = nn.ModuleList(convolutions)
        changes = stride > 1 or inputs != outputs
        self.shortcut = nn.Conv2d(inputs, outputs, 1, step) if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C', h / stride, w / stride)."""
        *first, last = list(self.convolutions)
        y = x
        for convolution in first:
            y = F.relu(convolution(y))
        return F.relu(last(self.pool(y)) + self.shortcut(self.pool(x)))


class ResNet(Tower):
    """A plain residual network of torchvision's and timm's layout; layers are its four stages."""

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__(config, smooth=False)
        self.stem = nn.Conv2d(3, config.stem[0], 7, 2, 3)

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
        """Mean of the last stage (N, D), and the named stages' maps (N, h, w, C), as float32; it has no seams."""
        refuse_seams(
            self.name, attention=attention, last=last, between=between, extra=extra, normed=normed, matrices=matrices
        )
        if projected:
            raise BadInput(f"{self.name or 'this encoder'} has no space of sentences to project patches into")
        x = self.stem(self.normalise(images, layers))
        x, kept = self.run(F.relu(F.max_pool2d(x, 3, 2, 1)), layers)
        return Features(x.float().mean((2, 3)), tuple(kept[n] for n in layers))
