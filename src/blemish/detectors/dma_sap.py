"""CLIP-DINOv2 fusion by dual-modality attention and semantic-aware pooling. Reconstructed from the abstract."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.heads import quarters
from blemish.blocks.joint_space import read_in_words
from blemish.blocks.maps import fuse_mean, upsample
from blemish.blocks.tokens import CrossAttention
from blemish.training.sentences import TOKENS, FrozenSentenceDetector, Judged, picture_logits
from blemish.types import Encoder, Features

SHARPNESS, SHARE = 0.1, 0.5  # of the heat map's softmax, and of what it pools


class DMASAP(FrozenSentenceDetector):
    """Patches in the space of sentences, with what another encoder sees added layer by layer, against learned
    sentences.

    align: patches attend to those of the other encoder, at as many layers. pooling: the picture is the mean of its
        embedding and of its patches by the heat map ("heat"), or its embedding ("class").
    other: the second encoder, of the authors DINOv2. By default the part is played by the first one's raw layers.
    The abstract says: CLIP's semantics are aligned with DINOv2 level by level; pooling by the model's own heat map;
    segmentation and contrastive losses. The latter is the picture's cross entropy here.
    """

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        other: str | Encoder | None = None,
        align: bool = True,
        pooling: Literal["heat", "class"] = "heat",
        tokens: int = TOKENS,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, image_size=image_size, seed=seed, tokens=tokens)
        self.other, self.align, self.pooling = None if other is None else encoders.load(other), align, pooling
        self.read_layers()
        second, generator = self.other or self.encoder, torch.Generator().manual_seed(seed)
        self.others = quarters(second.depth)[-len(self.taps) :]
        pairs = zip(self.taps, self.others, strict=False) if align else ()
        self.attentions = nn.ModuleList(
            CrossAttention(self.encoder.width, second.widths[layer - 1], generator=generator) for _, layer in pairs
        )
        self.requires_grad_(False).eval()

    @torch.no_grad()
    def frozen(self, images: Tensor) -> Features:
        """Patches of the first encoder in its space of sentences, and after them those of the other."""
        seen = read_in_words(self.encoder, images, self.taps)
        second = self.other or self.encoder
        sides = [max(1, round(side / second.patch_size)) * second.patch_size for side in images.shape[-2:]]
        fitting = F.interpolate(images, sides, mode="bilinear", align_corners=False)
        return Features(seen.image, (*seen.patches, *second(fitting, layers=self.others).patches))

    def adapt(self, seen: Features) -> Features:
        """The first encoder's patches, each layer with what it attends to in the other's."""
        own, others = seen.patches[: len(self.taps)], seen.patches[len(self.taps) :]
        if not self.align:
            return Features(seen.image, own)
        pairs = zip(self.attentions, own, others, strict=False)
        found = (step(one.flatten(1, 2), more.flatten(1, 2)).view_as(one) for step, one, more in pairs)
        return Features(seen.image, tuple(found))

    def judge(self, seen: Features, texts: Tensor) -> Judged:
        """Every layer a grid; the picture by what their mean points at."""
        found = super().judge(seen, texts)
        if self.pooling == "class":
            return found
        last = F.normalize(seen.patches[-1], dim=-1)  # (N, h, w, D)
        heat = fuse_mean(*(upsample(each, last.shape[1:3]) for each in found.grids)).flatten(1)
        pooled = torch.einsum("np,npd->nd", (heat / SHARPNESS).softmax(-1), last.flatten(1, 2))
        whole = SHARE * F.normalize(pooled, dim=-1) + (1 - SHARE) * F.normalize(seen.image, dim=-1)
        return found._replace(picture=picture_logits(whole, texts[None]))
