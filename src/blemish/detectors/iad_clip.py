"""IAD-CLIP: training-free industrial anomaly detection with test-time adaptation. Reconstructed from the abstract.

Its constants are those of AnoVL (Deng et al., arXiv:2308.15939), whose recipe the abstract tells.
"""

from __future__ import annotations

from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.joint_space import read_in_words
from blemish.blocks.maps import fuse_mean, smooth, top_mean, upsample
from blemish.blocks.memory import MemoryBank
from blemish.blocks.prompts import ensemble, prototypes, state_sentences
from blemish.blocks.rows import Rows
from blemish.blocks.similarity import anomaly_probability
from blemish.blocks.test_time import adapt_places
from blemish.encoders.capabilities import geometry
from blemish.types import Batch, Encoder, Features, Prediction, TextEncoder


class IADCLIP(nn.Module):
    """Patches whose values attend to values, against a space of states in words, adapted to each picture by itself.

    anomaly_map: probability of the anomalous states, blurred, in [0, 1]; after `fit` the mean with the distance to the
        nearest good patch, halved. image_score: the mean of the picture's probability and of the map's highest 1 %.
    adapt_steps: of AdamW on what all states add to this picture's patches, so that they are certain, and noise on them
        is told from themselves. 0: none. Each picture begins anew, the optimiser too, whose moments AnoVL keeps: the
        score does not depend on the pictures before. The weights begin as the states, the mean of their sentences each,
        where AnoVL draws weights and a bias at random, and every sentence is one.
    words: an ensemble of `blocks.prompts`. temperature: AnoVL has 1.
    The abstract says: training-free; value-value attention; a space of state prompts; adaptation at test time. AnoVL
    scores a picture by the mean over turned and moved copies, and blurs the map by the mean of 3 x 3 places.
    """

    texts: Tensor
    sentences: Tensor

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        product: str = "object",
        adapt_steps: int = 5,
        words: str = "anovl",
        temperature: float = 0.07,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = cast(TextEncoder, encoders.load(encoder, needs={"text"}))
        self.product, self.adapt_steps, self.words, self.temperature = product, adapt_steps, words, temperature
        self.image_size, self.seed, self.geometry = image_size, seed, geometry(self.encoder, image_size)
        self.register_buffer("texts", prototypes(self.encoder, product, ensemble(words)))  # (2, D)
        said = state_sentences(self.encoder, product, ensemble(words))
        self.register_buffer("sentences", said, persistent=False)  # (S, D)
        self.bank = MemoryBank()

    def extract(self, batch: Batch) -> tuple[Rows, ...]:
        """Patches of each picture."""
        return ((F.normalize(self._look(batch.images).patches[-1], dim=-1).flatten(0, 2),),)

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction, both parts in [0, 1]."""
        seen = self._look(images)
        moved = places = seen.patches[-1]  # (N, h, w, D)
        if self.adapt_steps:
            adapt = partial(adapt_places, texts=self.texts, sentences=self.sentences, steps=self.adapt_steps)
            moved = torch.stack([adapt(each, temperature=self.temperature, seed=self.seed) for each in places])
        found = anomaly_probability(moved, self.texts, self.temperature)  # (N, h, w)
        if self.bank.fitted:
            found = fuse_mean(found, self.bank.distance(places) / 2)
        whole = anomaly_probability(seen.image, self.texts, self.temperature)  # (N,)
        grown = upsample(found, images.shape[-2:])
        return Prediction(fuse_mean(whole, top_mean(grown, 0.01)), smooth(grown, 4.0))

    def _look(self, images: Tensor) -> Features:
        """The image embedding (N, D) and the last layer's patches (N, h, w, D), whose values attended in all layers."""
        depth = self.encoder.depth
        return read_in_words(self.encoder, images, [depth], last=depth, normed=True)
