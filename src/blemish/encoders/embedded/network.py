"""The pair that ships with the package: a small residual network with a neck, and words, in one space."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.encoders.cnn import STRIDE, ResNet, ResNetConfig
from blemish.encoders.embedded.words import Words, WordsConfig
from blemish.encoders.inputs import check_layers, refuse_seams
from blemish.errors import BadInput
from blemish.types import Attention, Between, Capability, Features, Matrices

LAYERS = 5
"""Four stages, and the neck that joins them."""


@dataclass(frozen=True, slots=True)
class EmbeddedConfig:
    """The shape of both towers."""

    image_size: int = 224
    stem: int = 48
    widths: tuple[int, ...] = (48, 96, 192, 256)
    depths: tuple[int, ...] = (2, 2, 2, 2)
    neck: int = 128
    output: int = 128
    words: WordsConfig = field(default_factory=WordsConfig)
    scale: float = 100 / 7  # of cosines in a softmax: the temperature 0.07 of WinCLIP and CLIP's start


class Outputs(NamedTuple):
    """All that images give in one pass."""

    stages: tuple[Tensor, ...]  # (N, C, h, w) at strides 4, 8, 16, 32
    neck: Tensor  # (N, C, h, w) at stride 8
    patches: Tensor  # (N, D, h, w) at stride 8, in the space of words
    image: Tensor  # (N, D), in the space of words


class Embedded(nn.Module):
    """Images and sentences -> one space; layers 1 to 4 are the stages of a residual network, 5 is the neck."""

    def __init__(self, vocabulary: Sequence[str], config: EmbeddedConfig) -> None:
        super().__init__()
        self.config = c = config
        self.name, self.sha256 = "", ""
        self.image_size, self.patch_size, self.depth, self.width = c.image_size, STRIDE, LAYERS, c.output
        self.widths, self.logit_scale = (*c.widths, c.neck), c.scale
        self.prompt_width, self.prompt_depth = c.words.width, c.words.depth
        self.can: frozenset[Capability] = frozenset({"text", "windows", "prompts"})
        shape = ResNetConfig(
            image_size=c.image_size, stem=(c.stem,), depths=c.depths, hidden=c.widths, widths=c.widths, basic=True
        )
        self.trunk = ResNet(shape)
        self.lateral = nn.ModuleList(nn.Conv2d(width, c.neck, 1) for width in c.widths[1:])
        self.mixing = nn.Conv2d(c.neck, c.neck, 3, 1, 1)
        self.dense = nn.Conv2d(c.neck, c.output, 1)
        self.whole = nn.Linear(2 * (c.widths[-1] + c.neck), c.output)
        self.words = Words(vocabulary, c.words)

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
        """Image embedding (N, D) in the space of words, the named layers' maps (N, h, w, C), as float32; no seams.

        projected: layer 5 in the space of words; the others have no place there.
        """
        refuse_seams(
            self.name, attention=attention, last=last, between=between, extra=extra, normed=normed, matrices=matrices
        )
        if projected and set(layers) - {LAYERS}:
            raise BadInput(f"only layer {LAYERS} of this encoder can be projected into the space of words")
        check_layers(layers, LAYERS)
        seen = self.outputs(images)
        maps = (*seen.stages, seen.patches if projected else seen.neck)
        return Features(seen.image.float(), tuple(maps[n - 1].permute(0, 2, 3, 1).float() for n in layers))

    def outputs(self, images: Tensor) -> Outputs:
        """Everything, with gradients where there are any."""
        x = self.trunk.stem(self.trunk.normalise(images, (), multiple=STRIDE))
        x = F.relu(F.max_pool2d(x, 3, 2, 1))  # in this order a quarter of the work, with the same result
        stages = []
        for stage in self.trunk.stages:
            x = stage(x)
            stages.append(x)
        fine, middle, coarse = (join(x) for join, x in zip(self.lateral, stages[1:], strict=True))
        joined = fine + enlarge(middle + enlarge(coarse))
        neck = self.mixing(F.relu(joined)) + joined
        active = F.relu(neck)
        pooled = [pool for x in (x.float(), active.float()) for pool in (x.mean((2, 3)), x.amax((2, 3)))]
        return Outputs(tuple(stages), neck, self.dense(active), self.whole(torch.cat(pooled, 1)))

    def project(self, patches: Tensor) -> Tensor:
        """Patches of layer 5 in the space of words: (..., C) -> (..., D)."""
        weight, bias = (each.to(patches) for each in self.dense.parameters())
        return F.linear(F.relu(patches), weight[:, :, 0, 0], bias)

    def encode_windows(self, images: Tensor, windows: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Mean of the patches of each window in the space of words: (W_s, k) per scale -> one (N, W_s, D) per scale."""
        patches = self.outputs(images).patches.float().flatten(2).transpose(1, 2)  # (N, P, D)
        return tuple(patches[:, window].mean(2) for window in windows)

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Embeddings of sentences in their order: (len(texts), D) float32, not normalised."""
        return cast(Tensor, self.words(texts)).float()

    @property
    def encode_prompts(self) -> Callable[..., Tensor]:
        """`Words.encode_prompts`: (P, D) float32, not normalised."""
        return self.words.encode_prompts


def enlarge(x: Tensor) -> Tensor:
    """Twice the grid: (N, C, h, w) -> (N, C, 2h, 2w)."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
