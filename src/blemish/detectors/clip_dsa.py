"""CLIP-DSA: feature noise and a discriminator on window features, ICIC 2025. Reconstructed from the abstract."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.joint_space import read_in_words
from blemish.blocks.learned import Updates
from blemish.blocks.maps import fuse_mean, smooth, top_mean, upsample
from blemish.blocks.patches import pool_neighbours
from blemish.blocks.pixelwise import Judge
from blemish.blocks.prompts import prototypes
from blemish.blocks.similarity import anomaly_probability
from blemish.encoders.capabilities import geometry
from blemish.training.fabric import randomness
from blemish.training.schedule import Schedule
from blemish.training.trainable import ParameterGroup
from blemish.types import Batch, Encoder, Features, Prediction, TextEncoder

SHARE = 0.1  # of the loss by which words teach the discriminator


class CLIPDSA(nn.Module):
    """Places and their windows, told from the same with noise by a discriminator, and by words.

    anomaly_map: the mean of the discriminator's probability and that of the anomalous words, blurred, in [0, 1].
    image_score: the mean of its highest 1 %.
    noise: deviation of the noise on unit features that makes them anomalous. 0: there is no discriminator to train, and
        words alone are asked. windows: sides of neighbourhoods whose means stand beside a place.
    The record says: features as WinCLIP's; an adapter; Gaussian noise on features; a binary discriminator; words give
    pseudo-labels. These count a tenth here.
    """

    texts: Tensor

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        product: str = "object",
        noise: float = 0.015,
        windows: tuple[int, ...] = (1, 3, 5),
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = cast(TextEncoder, encoders.load(encoder, needs={"text"}))
        self.product, self.noise, self.windows = product, noise, windows
        self.image_size, self.seed, self.geometry = image_size, seed, geometry(self.encoder, image_size)
        self.updates, width = Updates(), self.encoder.width
        with randomness(torch.device("cpu"), seed):
            self.adapter, self.judge = nn.Linear(len(windows) * width, width), Judge(width, width)
        self.register_buffer("texts", prototypes(self.encoder, product), persistent=False)  # (2, D)
        self.requires_grad_(False).eval()

    @property
    def schedule(self) -> Schedule:
        """Of our own: nothing is published."""
        return Schedule(steps=500, rate=1e-3, batch_size=8)

    def trained_parameters(self) -> list[ParameterGroup]:
        """The adapter's and the discriminator's."""
        return [ParameterGroup([*self.adapter.parameters(), *self.judge.parameters()])]

    @torch.no_grad()
    def frozen(self, images: Tensor) -> Features:
        """Image embedding, and the last layer's patches in the space of words."""
        return read_in_words(self.encoder, images, [self.encoder.depth])

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross entropy of good places against the same with noise, and a little of what words say of them."""
        good = slice(None) if batch.labels is None else ~batch.labels
        places = F.normalize((batch.features or self.frozen(batch.images)).patches[-1][good], dim=-1)
        moved = places + self.noise * torch.randn(places.shape, generator=torch.default_generator).to(places)
        logits = self._judge(torch.cat([places, moved]))
        clean, noisy = logits.chunk(2)
        self.updates.add()
        told = F.softplus(clean).mean() + F.softplus(-noisy).mean()
        words = anomaly_probability(places, self.texts)
        return {"noise": told, "words": SHARE * F.binary_cross_entropy_with_logits(clean, words)}

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction, both parts in [0, 1]."""
        self.updates.require()
        places = F.normalize(self.frozen(images).patches[-1], dim=-1)
        found = anomaly_probability(places, self.texts)  # (N, h, w)
        if self.noise:
            found = fuse_mean(found, self._judge(places).sigmoid())
        whole = upsample(found, images.shape[-2:])
        return Prediction(top_mean(whole, 0.01), smooth(whole, 4.0))

    def _judge(self, places: Tensor) -> Tensor:
        """Logits (N, h, w) of unit places (N, h, w, D), with their windows."""
        around = torch.cat([pool_neighbours(places, side) for side in self.windows], -1)
        logits: Tensor = self.judge(self.adapter(around))
        return logits
