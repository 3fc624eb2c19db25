"""GLASS. Chen, Luo, Lv & Zhang, "A Unified Anomaly Synthesis Strategy with Gradient Ascent for Industrial Anomaly
Detection and Localization", ECCV 2024, arXiv:2407.09359.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.learned import Learned, Updates
from blemish.blocks.losses import focal_probability, masks_of
from blemish.blocks.maps import maximum, smooth, upsample
from blemish.blocks.patches import describe_neighbours, join_layers, middle
from blemish.blocks.pixelwise import Judge
from blemish.encoders.capabilities import geometry
from blemish.synth.published.feature_noise import spread
from blemish.synth.published.glass import ascend, onto_shell
from blemish.training.fabric import randomness
from blemish.training.schedule import Schedule
from blemish.training.trainable import ParameterGroup
from blemish.types import Batch, Encoder, Features, Prediction

NOISE, WIDTH = 0.015, 1536
"""The paper's noise and width, of WideResNet-50; its other lengths are for these."""


class GLASS(nn.Module):
    """A network tells projected patches of good parts from the same ones moved away, and from made defects.

    image_score: the highest probability of a patch, in [0, 1]. anomaly_map: the probabilities, smoothed.
    layers: by default at a half and three quarters of the depth: 2 and 3 of a network of four stages, the paper's.
    width: of patches; by default that of the layers side by side, which is the paper's 1536 for its encoder.
    surface: moved patches are kept at a distance from where they began ("manifold"), or from the mean of their place
        beyond the radius that holds `quantile` of good patches ("hypersphere", which moves made defects as well). The
        authors choose for each category.
    deviation: of the noise; the paper's 0.015 is for WideResNet-50. Deviation: by default half of the features' own,
        and the lengths of the ascent grow with it.
    hard: share of made defects' patches, the easiest, that are left out.
    Deviation: the mean of a place is that of the good parts seen so far; the authors compute it anew each epoch.
        Deviation: the projection has no weight decay (1e-5); the textures of made defects are drawn, see `synth`.
    """

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        layers: Sequence[int] | None = None,
        width: int | None = None,
        hidden: int = 1024,
        surface: Literal["manifold", "hypersphere"] = "manifold",
        ascent: int = 20,
        deviation: float | None = None,
        quantile: float = 0.75,
        hard: float = 0.5,
        sigma: float = 4.0,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = encoders.load(encoder)
        self.layers, self.width, self.hidden, self.surface = layers, width, hidden, surface
        self.ascent, self.deviation, self.quantile, self.hard = ascent, deviation, quantile, hard
        self.sigma, self.image_size, self.seed = sigma, image_size, seed
        self.geometry = geometry(self.encoder, image_size)
        self.taps = tuple(layers or middle(self.encoder.depth))
        self.channels = width or sum(self.encoder.widths[tap - 1] for tap in self.taps)
        with randomness(torch.device("cpu"), seed):
            self.projection = nn.Linear(self.channels, self.channels)
            self.judge = Judge(self.channels, hidden)
            nn.init.xavier_normal_(self.projection.weight)
        self.place, self.updates = Learned("mean: h w C"), Updates()
        self.requires_grad_(False).eval()

    @property
    def schedule(self) -> Schedule:
        """The authors': 640 epochs of 49 batches of 8 good parts, here with as many made defects."""
        return Schedule(steps=31_360, rate=2e-4, batch_size=16, floor=1.0)

    def trained_parameters(self) -> list[ParameterGroup]:
        """The judge's, and the projection's at half the rate."""
        parts = [(self.judge, 1.0, 0.01), (self.projection, 0.5, 0.0)]
        return [ParameterGroup(list(part.parameters()), rate, decay) for part, rate, decay in parts]

    @torch.no_grad()
    def frozen(self, images: Tensor) -> Features:
        """What the encoder sees."""
        return self.encoder(images, layers=self.taps)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross entropy of good and of moved patches, and focal loss of the hardest of parts with a defect."""
        described = self.describe((batch.features or self.frozen(batch.images)).patches)  # (N, h, w, C)
        flawed = described.new_zeros(len(batch)).bool() if batch.labels is None else batch.labels
        truth = masks_of(batch)[flawed] if flawed.any() else described[:0, ..., 0]
        truth = F.adaptive_max_pool2d(truth[:, None], list(described.shape[1:3]))[:, 0]  # any pixel of a defect counts
        self._remember(described[~flawed])
        patches, centre = self.projection(described), self.projection(self.place.get_buffer("mean")).detach()
        good = patches[~flawed]
        deviation = self.deviation or spread(good.detach().movedim(-1, 1)) / 2
        noise = deviation * torch.randn(good.shape, generator=torch.default_generator).to(good)
        unit = deviation / NOISE * (self.channels / WIDTH) ** 0.5
        return self.losses(good, patches[flawed], truth, noise, centre, unit)

    def losses(
        self, good: Tensor, made: Tensor, truth: Tensor, noise: Tensor, centre: Tensor, unit: float
    ) -> dict[str, Tensor]:
        """Of projected patches (N, h, w, C), made ones (M, h, w, C) with truth (M, h, w), and means (h, w, C)."""
        away = [torch.linalg.vector_norm(each.detach() - centre, dim=-1) for each in (made, good)]
        radius = float(torch.cat([away[0][truth == 0], away[1].flatten()]).quantile(self.quantile))
        sphere = self.surface == "hypersphere"
        anchor, nearest = (centre, radius) if sphere else (good, 0.5 * unit)
        moved = ascend(good, noise, self.judge, anchor, nearest, steps=self.ascent, length=1e-3 * unit)
        calm, wild = self.judge(torch.stack([good, moved]))
        found = {"good": _entropy(calm, 0), "global": _entropy(wild, 1)}
        if not len(made):
            return found
        if sphere:
            made = torch.where(truth[..., None] > 0, onto_shell(made, centre, 2 * radius, 4 * radius), made)
        probability = self.judge(made).sigmoid()
        missed = (probability - truth).square()
        kept = missed >= missed.quantile(self.hard)
        return found | {"local": focal_probability(probability[kept], truth[kept])}

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction, both parts in [0, 1]."""
        self.updates.require()
        patches = self.projection(self.describe(self.frozen(images).patches))  # (N, h, w, C)
        probability = self.judge(patches).sigmoid()  # (N, h, w)
        return Prediction(maximum(probability), smooth(upsample(probability, images.shape[-2:]), self.sigma))

    def describe(self, layers: Sequence[Tensor]) -> Tensor:
        """The layers' neighbourhoods, each `channels` numbers, averaged in pairs to one description: (N, h, w, C)."""
        joined = join_layers([describe_neighbours(layer, self.channels) for layer in layers])
        return F.adaptive_avg_pool1d(joined.flatten(1, 2), self.channels).view(*joined.shape[:3], self.channels)

    def _remember(self, described: Tensor) -> None:
        """The mean of each place over all good parts so far."""
        before, mean = self.updates.number, described.detach().mean(0)
        if before:
            mean = self.place.get_buffer("mean").lerp(mean, 1 / (before + 1))
        self.place.store({"mean": mean})
        self.updates.add()


def _entropy(logits: Tensor, target: int) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(target)))
