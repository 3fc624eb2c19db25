"""SuperSimpleNet. Rolih, Fucka, Skocaj, "SuperSimpleNet: Unifying Unsupervised and Supervised Learning for Fast and
Reliable Surface Defect Detection", ICPR 2024, arXiv:2408.03143.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.learned import Updates
from blemish.blocks.losses import focal, truncated_l1
from blemish.blocks.maps import maximum, smooth, upsample
from blemish.blocks.patches import join_layers, middle, pool_neighbours
from blemish.blocks.pixelwise import MapHead, ScoreHead, initialise
from blemish.encoders.capabilities import geometry
from blemish.errors import BadInput
from blemish.synth.published.feature_noise import Noise, feature_noise, spread
from blemish.training.fabric import randomness
from blemish.training.schedule import Schedule
from blemish.training.trainable import ParameterGroup
from blemish.types import Batch, Encoder, Features, Prediction

BLUR_RADIUS = 12  # pixels, three deviations of 4


class SuperSimpleNet(nn.Module):
    """Two small heads tell adapted features from the same ones with noise in Perlin spots, and from labelled defects.

    image_score: the logit of the score head, or the map's highest. anomaly_map: the map head's logits, smoothed.
    layers: by default at a half and three quarters of the depth: 2 and 3 of a network of four stages, the paper's.
    supervised: labelled defects teach both heads, and the score head's gradient reaches the map.
    score_from: what the score head reads: "adapted" features, the paper's, by default if supervised, or "raw" ones with
        the same noise, as in arXiv:2508.19060. Deviation: else "map", the map's highest without such a head: the paper
        gives both, and this one is a third of the work and, of noise alone, right after fewer steps.
    threshold: of Perlin noise; 0.2 for MVTec AD, 0.6 for small defects (VisA, KolektorSDD2, SensumSODF).
    deviation: of the noise; the paper's 0.015 is for WideResNet-50. Deviation: by default half of the features' own;
        noise that is small beside them teaches nothing in hundreds of steps.
    width: of the map head; two thirds of the joined channels are as many as the paper's 1024 of WideResNet-50's 1536.
    finer: how many times as fine as the first layer's grid the heads work; 1 is a quarter of the work.
    """

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        layers: Sequence[int] | None = None,
        supervised: bool = False,
        score_from: Literal["adapted", "raw", "map"] | None = None,
        threshold: float = 0.2,
        deviation: float | None = None,
        width: int = 1024,
        finer: int = 2,
        sigma: float = 4.0,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = encoders.load(encoder)
        self.layers, self.supervised = layers, supervised
        self.score_from, self.read = score_from, score_from or ("adapted" if supervised else "map")
        self.threshold, self.deviation, self.width, self.finer = threshold, deviation, width, finer
        self.sigma, self.image_size, self.seed = sigma, image_size, seed
        self.geometry = geometry(self.encoder, image_size)
        self.taps = tuple(layers or middle(self.encoder.depth))
        channels = sum(self.encoder.widths[tap - 1] for tap in self.taps)
        with randomness(torch.device("cpu"), seed):
            self.adapter = nn.Conv2d(channels, channels, 1)
            self.map_head = MapHead(channels, width)
            self.score_head = None if self.read == "map" else ScoreHead(channels)
            for part in self._parts():
                part.apply(initialise)
        self.updates = Updates()
        self.requires_grad_(False).eval()

    @property
    def schedule(self) -> Schedule:
        """The paper's, but in steps: its 300 epochs of MVTec AD's 240 good parts in batches of 32."""
        return Schedule(
            steps=2250, rate=2e-4, batch_size=32, drops=((0.8, 0.4), (0.9, 0.4)), clip=float(self.supervised)
        )

    def trained_parameters(self) -> list[ParameterGroup]:
        """The adapter at half the rate, and both heads."""
        adapter, *heads = ([*part.parameters()] for part in self._parts())
        return [ParameterGroup(adapter, rate=0.5, decay=0.01), *(ParameterGroup(each, decay=1e-5) for each in heads)]

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Focal and truncated L1 of the map, focal of the score; labelled defects need masks."""
        raw = self.join(batch.features or self.frozen(batch.images))
        noise, truth = feature_noise(
            raw.shape,
            generator=torch.default_generator,
            defects=_defects(batch, raw.shape[2:]),
            deviation=self.deviation or spread(raw) / 2,
            threshold=self.threshold,
        )
        labels, given = truth.flatten(1).amax(1), batch.labels
        if given is not None:
            labels = torch.maximum(labels, torch.cat([given, given]).to(labels))
        self.updates.add()
        return self.losses(raw, noise, truth.to(raw), labels.to(raw))

    def losses(self, raw: Tensor, noise: Noise, truth: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Of features (N, C, h, w), twice, with noise; truth (2N, 1, h, w), labels (2N,): 0 or 1."""
        noise = Noise(noise.values.to(raw), noise.spots.to(raw.device))
        grid = self.map_head.learn_after(self.adapter, raw, *noise)  # (2N, 1, h, w)
        found = {"map_focal": focal(grid, truth, gamma=4.0), "map_l1": truncated_l1(grid, truth)}
        if self.score_head is None:
            return found
        noisy = torch.cat([self.adapter(raw) if self.read == "adapted" else raw] * 2) + noise.dense()
        score = self.score_head(noisy, grid if self.supervised else grid.detach())  # (2N,)
        return found | {"score_focal": focal(score, labels, gamma=4.0)}

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction."""
        self.updates.require()
        raw = self.join(self.frozen(images))  # (N, C, h, w)
        grid = self.map_head.after(self.adapter, raw)  # (N, 1, h, w)
        whole = upsample(grid.squeeze(1), images.shape[-2:])  # (N, H, W)
        found = smooth(whole, self.sigma, radius=BLUR_RADIUS, border="mirror")
        if self.score_head is None:
            return Prediction(maximum(found), found)
        return Prediction(self.score_head(self.adapter(raw) if self.read == "adapted" else raw, grid), found)

    def _parts(self) -> list[nn.Module]:
        return [part for part in (self.adapter, self.map_head, self.score_head) if part is not None]

    @torch.no_grad()
    def frozen(self, images: Tensor) -> Features:
        """The layers that are adapted."""
        return self.encoder(images, layers=self.taps)

    def join(self, seen: Features) -> Tensor:
        """Layers side by side at the grid that is worked in, each 3 x 3 neighbourhood averaged: (N, C, h, w)."""
        joined = join_layers(seen.patches, size=[self.finer * side for side in seen.patches[0].shape[1:3]])
        return pool_neighbours(joined).permute(0, 3, 1, 2)


def _defects(batch: Batch, size: Sequence[int]) -> Tensor | None:
    """What masks mark of each place, (N, 1, h, w), 0 or 1; raises BadInput for defects without masks."""
    if batch.masks is not None:
        return (F.interpolate(batch.masks[:, None].float(), tuple(size), mode="bilinear") >= 0.5).float()
    if batch.labels is not None and batch.labels.any():
        raise BadInput("supersimplenet learns where defects are: give masks with them, or good parts alone")
    return None
