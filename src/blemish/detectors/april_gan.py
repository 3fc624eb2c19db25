"""APRIL-GAN, also called VAND. Chen, Han & Zhang, "APRIL-GAN: A Zero-/Few-Shot Anomaly Classification and Segmentation
Method for CVPR 2023 VAND Workshop Challenge Tracks 1&2", CVPR workshops 2023, arXiv:2305.17382.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.heads import LayerHeads, gather_heads, quarters
from blemish.blocks.learned import Updates
from blemish.blocks.losses import map_losses, masks_of
from blemish.blocks.maps import fuse_mean, keep_scale, maximum, upsample
from blemish.blocks.memory import MemoryBank, sum_distances
from blemish.blocks.prompts import ProductTexts, ensemble, prototypes
from blemish.blocks.similarity import anomaly_probability
from blemish.encoders.capabilities import geometry
from blemish.training.schedule import Schedule
from blemish.training.trainable import ParameterGroup
from blemish.types import Batch, Encoder, Features, Prediction, Scale, TextEncoder


class APRILGAN(nn.Module):
    """Patches of several layers, each through its trained linear head, against a prompt ensemble; after `fit`, against
    the same layers' patches of good parts as well.

    image_score: probability of the anomalous words for the whole picture, in [0, 1]; fitted, its mean with the highest
        value of the map. Deviation: the authors rescale that value over all pictures of a test set, which no picture
        alone allows; here it is divided by 2 a layer, which it reaches where words and a cosine of 0 are both certain.
    anomaly_map: the sum over layers of the patches' probability, and, fitted, of their distance to a good patch.
    layers: by default those at a quarter, a half, three quarters and the whole of the depth (6, 12, 18, 24 of ViT-L).
    Trained on pictures of other products, each by its own name where a batch says it. The authors run OpenAI's weights
    with `activation="gelu"` and `resize="bicubic-antialias"`, see `encoders.load`.
    """

    texts: Tensor
    banks: Sequence[MemoryBank]

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        product: str = "object",
        layers: Sequence[int] | None = None,
        temperature: float = 0.01,
        words: str = "april-gan",
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = cast(TextEncoder, encoders.load(encoder, needs={"text"}))
        self.product, self.layers, self.temperature, self.words = product, layers, temperature, words
        self.image_size, self.seed = image_size, seed
        self.geometry = geometry(self.encoder, image_size)
        self.taps = tuple(layers or quarters(self.encoder.depth))
        self.heads = LayerHeads([self.encoder.widths[tap - 1] for tap in self.taps], self.encoder.width, seed=seed)
        self.updates = Updates()
        self.banks = cast("Sequence[MemoryBank]", nn.ModuleList(MemoryBank() for _ in self.taps))
        self.read = ProductTexts(partial(prototypes, self.encoder, words=ensemble(words), normalize_sentences=True))
        # Not saved: a detector that was trained on some products is asked about others, by their words.
        self.register_buffer("texts", self.read([product], torch.device("cpu"))[0], persistent=False)
        self.requires_grad_(False).eval()

    @property
    def schedule(self) -> Schedule:
        """The authors', for the 1,725 test pictures of MVTec AD three times over: Adam at a constant rate."""
        return Schedule(steps=650, rate=1e-3, batch_size=8, betas=(0.5, 0.999), floor=1.0)

    def trained_parameters(self) -> list[ParameterGroup]:
        """The heads'."""
        return [ParameterGroup(list(self.heads.parameters()))]

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Focal and dice loss of each layer's map, summed over the layers."""
        seen, truth = batch.features or self.frozen(batch.images), masks_of(batch)
        texts = self.read(batch.products or [self.product] * len(batch), truth.device)  # (N, 2, D)
        maps = self._maps(seen.patches, texts, truth.shape[-2:])
        self.updates.add()
        return map_losses(maps, truth)

    @torch.no_grad()
    def frozen(self, images: Tensor) -> Features:
        """What the heads see."""
        return self.encoder(images, layers=self.taps)

    def extract(self, batch: Batch) -> tuple[tuple[Tensor, ...], ...]:
        """Patches of each layer."""
        layers = self.frozen(batch.images).patches
        return tuple((F.normalize(each, dim=-1).flatten(0, 2),) for each in layers)

    def forward(self, images: Tensor, *, scale: Scale = keep_scale) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction."""
        self.updates.require()
        size = images.shape[-2:]
        embedding, layers = self.frozen(images)
        whole = anomaly_probability(embedding, self.texts, self.temperature)  # (N,)
        text = torch.stack(self._maps(layers, self.texts[None], size)).sum(0)  # (N, H, W)
        if not self.banks[0].fitted:
            return Prediction(whole, text)
        both = text + sum_distances(self.banks, layers, size)
        highest = scale("map", maximum(both) / (2 * len(self.taps)))
        return Prediction(fuse_mean(whole, highest), both)

    def published(self, theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Of the authors' file: its `trainable_linearlayer`."""
        return gather_heads(theirs)

    def _maps(self, layers: Sequence[Tensor], texts: Tensor, size: Sequence[int]) -> list[Tensor]:
        """Each layer's probability of the anomalous words: (N, h, w, C_l), (N or 1, 2, D) -> (N, H, W)."""
        toward = (texts[:, 1] - texts[:, 0])[:, None, :, None]  # (N or 1, 1, D, 1)
        # The softmax over two texts is the sigmoid of the difference of their logits.
        logits = [each / self.temperature for each in self.heads.along(layers, toward)]
        return [upsample(each.squeeze(-1), size, corners=True).sigmoid() for each in logits]
