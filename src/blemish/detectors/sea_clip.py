"""Sea-CLIP: few-shot anomaly detection as feature matching on CLIP and DINOv2. Reconstructed from the abstract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.comparison import choose_references, nearest_of_banks, nearest_of_pair
from blemish.blocks.learned import Updates
from blemish.blocks.losses import masks_of, segmentation
from blemish.blocks.maps import smooth, top_mean, upsample
from blemish.blocks.memory import MemoryBank
from blemish.blocks.patches import join_layers, middle
from blemish.encoders.capabilities import geometry
from blemish.errors import BadInput
from blemish.training.fabric import randomness
from blemish.training.schedule import Schedule
from blemish.training.trainable import ParameterGroup
from blemish.types import Batch, Encoder, Features, Prediction

DECODER = 64


class SeaCLIP(nn.Module):
    """How far places of two encoders lie from the good places they match: a coarse mask, which a decoder makes finer.

    anomaly_map: probability of a defect, blurred, in [0, 1]. image_score: the mean of its highest 1 %.
    decoder: two convolutions on each encoder's places, their matches and what differs; else the coarse mask alone.
    other: the second encoder, of the authors DINOv2. By default a layer in the first one's middle plays it.
    In training a picture is compared with another good one of its batch, on made defects.
    The abstract says: DINOv2 patch matching; a coarse mask; a light decoder on CLIP and DINOv2; detection as matching.
    """

    banks: Sequence[MemoryBank]

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        other: str | Encoder | None = None,
        decoder: bool = True,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder, self.other = encoders.load(encoder), None if other is None else encoders.load(other)
        self.decoder, self.image_size, self.seed = decoder, image_size, seed
        self.geometry, self.updates = geometry(self.encoder, image_size), Updates()
        second = self.other or self.encoder
        self.taps = (self.encoder.depth, middle(self.encoder.depth)[0] if other is None else second.depth)
        widths = self.encoder.widths[self.taps[0] - 1], second.widths[self.taps[1] - 1]
        with randomness(torch.device("cpu"), seed):
            self.coarse = nn.Linear(2, 1)
            inputs = 3 * sum(widths) + 1
            self.fine = nn.Sequential(
                nn.Conv2d(inputs, DECODER, 3, padding=1),
                nn.GELU(),
                nn.Conv2d(DECODER, 1, 3, padding=1),
            )
        self.banks = cast("Sequence[MemoryBank]", nn.ModuleList(MemoryBank() for _ in widths))
        with torch.no_grad():
            self.coarse.weight.fill_(10.0)
            self.coarse.bias.fill_(-4.0)
        self.requires_grad_(False).eval()

    @property
    def schedule(self) -> Schedule:
        """Of our own: nothing is published."""
        return Schedule(steps=1000, rate=3e-4, batch_size=8)

    def trained_parameters(self) -> list[ParameterGroup]:
        """Those of the coarse mask, and the decoder's."""
        return [ParameterGroup([*self.coarse.parameters(), *(self.fine.parameters() if self.decoder else ())])]

    @torch.no_grad()
    def frozen(self, images: Tensor) -> Features:
        """Unit places of both encoders, on the grid of the first."""
        image, layers = self.encoder(images, layers=sorted({self.taps[0], *(() if self.other else self.taps[1:])}))
        if self.other is not None:
            step = self.other.patch_size
            sides = [max(1, round(side / step)) * step for side in images.shape[-2:]]
            scaled = F.interpolate(images, sides, mode="bilinear", align_corners=False)
            layers = (*self.other(scaled, layers=self.taps[1:]).patches, layers[-1])
        size = layers[-1].shape[1:3]
        return Features(image, tuple(F.normalize(join_layers([each], size=size), dim=-1) for each in reversed(layers)))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Focal and dice loss of the map of each picture beside another good one of the batch; raises BadInput."""
        layers, truth = (batch.features or self.frozen(batch.images)).patches, masks_of(batch)
        rows, others = choose_references(truth.flatten(1).amax(1) == 0, batch.products)
        if not len(rows):
            raise BadInput("a part is compared with another good one of its batch: use --batch-size 4 or more")
        matches = [nearest_of_pair(each[rows], each[others]) for each in layers]
        self.updates.add()
        logits = self._decode([each[rows] for each in layers], matches)
        return segmentation([upsample(logits, truth.shape[-2:]).sigmoid()], truth[rows])

    def extract(self, batch: Batch) -> tuple[tuple[Tensor, ...], ...]:
        """Places of each encoder."""
        return tuple((each.flatten(0, 2),) for each in self.frozen(batch.images).patches)

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction, both parts in [0, 1]."""
        self.updates.require()
        layers = self.frozen(images).patches
        if self.banks[0].fitted:
            matches = nearest_of_banks(self.banks, layers)[1]
        else:  # before any good part is remembered: the mean place of the picture
            matches = [F.normalize(x.mean((1, 2), keepdim=True), dim=-1).expand_as(x) for x in layers]
        found = upsample(self._decode(layers, matches), images.shape[-2:]).sigmoid()
        return Prediction(top_mean(found, 0.01), smooth(found, 4.0))

    def _decode(self, layers: Sequence[Tensor], matches: Sequence[Tensor]) -> Tensor:
        """Logits (N, h, w) of unit places and the good ones they match, (N, h, w, C_l) each."""
        far = torch.stack([1 - (one * good).sum(-1) for one, good in zip(layers, matches, strict=True)], -1)
        coarse: Tensor = self.coarse(far)  # (N, h, w, 1)
        if not self.decoder:
            return coarse.squeeze(-1)
        differ = [(one - good).abs() for one, good in zip(layers, matches, strict=True)]
        fine: Tensor = self.fine(torch.cat([*layers, *matches, *differ, coarse.sigmoid()], -1).movedim(-1, 1))
        return coarse.squeeze(-1) + fine.squeeze(1)
