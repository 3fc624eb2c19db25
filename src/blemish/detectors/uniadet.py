"""UniADet. Gao & Wang, "One Language-Free Foundation Model Is Enough for Universal Vision Anomaly Detection", 2026,
arXiv:2601.05552.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.heads import quarters
from blemish.blocks.learned import Updates
from blemish.blocks.losses import dice, focal_probability, masks_of
from blemish.blocks.maps import fuse_mean, maximum, smooth, upsample
from blemish.blocks.memory import MemoryBank
from blemish.blocks.prototypes import FreePrototypes
from blemish.encoders.capabilities import geometry
from blemish.training.schedule import Schedule
from blemish.training.trainable import ParameterGroup
from blemish.types import Batch, Encoder, Features, Prediction, SeamEncoder


class UniADet(nn.Module):
    """Free weights in place of sentences: for every layer two for the picture and two for its patches.

    anomaly_map: mean over layers of the patches' probability, in [0, 1]; after `fit` its mean with their cosine
        distance to the nearest patch of good parts. image_score: mean over layers of the picture's probability and of
        the highest of the layer's map; after `fit` its mean with the highest distance.
    The picture is the class token of each layer, or the mean of the patches where there is none, as in a residual
    network. Deviation: pictures are not mixed or cropped for training (the paper's class-aware augmentation).
    The authors' code is not public: temperature, shares and schedule are those of two independent rewritings.
    """

    banks: Sequence[MemoryBank]

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        layers: Sequence[int] | None = None,
        temperature: float = 0.07,
        sigma: float = 4.0,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = encoders.load(encoder)
        self.layers, self.temperature, self.sigma = layers, temperature, sigma
        self.image_size, self.seed = image_size, seed
        self.geometry = geometry(self.encoder, image_size)
        self.taps = tuple(layers or quarters(self.encoder.depth))
        widths = [self.encoder.widths[tap - 1] for tap in self.taps]
        self.whole = FreePrototypes(widths, 2, seed=seed)
        self.places = FreePrototypes(widths, 2, seed=seed + 1)
        self.updates = Updates()
        self.banks = cast("Sequence[MemoryBank]", nn.ModuleList(MemoryBank() for _ in self.taps))
        self.requires_grad_(False).eval()

    @property
    def schedule(self) -> Schedule:
        """Adam at a constant rate, as AnomalyCLIP's: the test pictures of VisA 15 times over."""
        return Schedule(steps=4050, rate=1e-3, batch_size=8, floor=1.0)

    def trained_parameters(self) -> list[ParameterGroup]:
        """All weights: 4 a layer of its width."""
        return [ParameterGroup([*self.whole.parameters(), *self.places.parameters()])]

    @torch.no_grad()
    def frozen(self, images: Tensor) -> Features:
        """Patches of each layer, and after them the picture of each layer, (N, 1, 1, C)."""
        classes: dict[int, Tensor] = {}
        cells = images.shape[-2] * images.shape[-1] // self.encoder.patch_size**2

        def keep(tokens: Tensor, depth: int) -> Tensor:
            if depth in self.taps and tokens.shape[1] > cells:
                classes[depth] = tokens[:, 0].float()
            return tokens

        if "seams" in self.encoder.can:
            image, patches = cast(SeamEncoder, self.encoder)(images, layers=self.taps, between=keep)
        else:
            image, patches = self.encoder(images, layers=self.taps)
        wholes = [
            classes.get(tap, each.mean((1, 2)))[:, None, None] for tap, each in zip(self.taps, patches, strict=True)
        ]
        return Features(image, (*patches, *wholes))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Of every layer: cross entropy of the picture, focal loss of the map and dice loss of either class."""
        truth = masks_of(batch)
        pictures, grids = self._logits(batch.features or self.frozen(batch.images))
        flawed = truth.flatten(1).amax(1)
        maps = [upsample(each, truth.shape[-2:]).sigmoid() for each in grids]  # (N, H, W) each
        self.updates.add()
        return {
            "image": _mean(F.binary_cross_entropy_with_logits(each, flawed) for each in pictures),
            "focal": _mean(focal_probability(each, truth) for each in maps),
            "dice": _mean(dice(each, truth) + dice(1 - each, 1 - truth) for each in maps),
        }

    def extract(self, batch: Batch) -> tuple[tuple[Tensor, ...], ...]:
        """Patches of each layer."""
        layers = self.frozen(batch.images).patches[: len(self.taps)]
        return tuple((F.normalize(each, dim=-1).flatten(0, 2),) for each in layers)

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction."""
        self.updates.require()
        seen, size = self.frozen(images), images.shape[-2:]
        pictures, grids = self._logits(seen)
        maps = [upsample(each, size).sigmoid() for each in grids]  # (N, H, W) each
        score = fuse_mean(*(fuse_mean(each.sigmoid(), maximum(m)) for each, m in zip(pictures, maps, strict=True)))
        whole = fuse_mean(*maps)
        if self.banks[0].fitted:
            far = fuse_mean(*(upsample(b.distance(x), size) for b, x in zip(self.banks, seen.patches, strict=False)))
            score, whole = fuse_mean(score, maximum(far)), fuse_mean(whole, far)
        return Prediction(score, smooth(whole, self.sigma))

    def _logits(self, seen: Features) -> tuple[list[Tensor], list[Tensor]]:
        """How much more a layer's picture (N,), and its patches (N, h, w), are like the anomalous weights."""
        patches, wholes = seen.patches[: len(self.taps)], seen.patches[len(self.taps) :]
        found = [each[..., 1] - each[..., 0] for each in (*self.whole(wholes), *self.places(patches))]
        logits = [each / self.temperature for each in found]
        return [each[:, 0, 0] for each in logits[: len(self.taps)]], logits[len(self.taps) :]


def _mean(losses: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(losses)).mean()
