"""MVFA. Huang, Jiang, Feng, Zhang, Wang & Wang, "Adapting Visual-Language Models for Generalizable Anomaly Detection in
Medical Images", CVPR 2024, arXiv:2403.12570.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.heads import quarters
from blemish.blocks.implants import Implants
from blemish.blocks.learned import Updates
from blemish.blocks.losses import map_losses, masks_of
from blemish.blocks.maps import fuse_mean, keep_scale, maximum, upsample
from blemish.blocks.memory import MemoryBank, sum_distances
from blemish.blocks.prompts import ProductTexts, ensemble, prototypes
from blemish.blocks.similarity import text_margin
from blemish.encoders.capabilities import geometry
from blemish.training.schedule import Schedule
from blemish.training.trainable import ParameterGroup
from blemish.types import Batch, Encoder, Prediction, Scale, TextEncoder


class MVFA(nn.Module):
    """What adapters say of several layers on the way through the tower, against words; one half of them speaks for the
    map, one for the picture. After `fit`, against what they say of good parts as well.

    image_score: sum over layers of the mean probability of the anomalous words; fitted, the highest value of the map.
    anomaly_map: sum over layers of the probability of each place; fitted, the mean of that and of the summed distance
        to a good place. Deviation: the authors rescale both over a test set first, and their banks hold class tokens.
    layers: by default those at a quarter, a half, three quarters and the whole of the depth. In a residual network the
        adapters stand behind the layers and change nothing that follows. weight: of what each adapter adds.
    The picture's loss takes a probability for a logit, as the authors' does. They run OpenAI's weights at 240 pixels
    with `activation="gelu"` and `resize="bicubic-antialias"`, see `encoders.load`. Deviation: the last adapters add
    nothing to the tower, since nothing reads it there; the authors keep the epoch that is best on a test set.
    """

    texts: Tensor
    banks: Sequence[MemoryBank]

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        product: str = "object",
        layers: Sequence[int] | None = None,
        weight: float = 0.1,
        temperature: float = 0.01,
        words: str = "april-gan",
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = cast(TextEncoder, encoders.load(encoder, needs={"text"}))
        self.product, self.layers, self.weight, self.temperature = product, layers, weight, temperature
        self.words, self.image_size, self.seed = words, image_size, seed
        self.geometry = geometry(self.encoder, image_size)
        self.taps = tuple(layers or quarters(self.encoder.depth))
        self.implants = Implants(self.encoder, self.taps, self.encoder.width, weight=weight, seed=seed)
        self.updates = Updates()
        self.banks = cast("Sequence[MemoryBank]", nn.ModuleList(MemoryBank() for _ in self.taps))
        self.read = ProductTexts(partial(prototypes, self.encoder, words=ensemble(words), normalize_sentences=True))
        # Not saved: a detector that was trained on some products is asked about others, by their words.
        self.register_buffer("texts", self.read([product], torch.device("cpu"))[0], persistent=False)
        self.requires_grad_(False).eval()

    @property
    def schedule(self) -> Schedule:
        """The authors' rate and 50 epochs, for as many pictures as MVTec AD tests, in batches of 8 at that."""
        return Schedule(steps=10800, rate=1e-4, batch_size=8, betas=(0.5, 0.999), floor=1.0)

    def trained_parameters(self) -> list[ParameterGroup]:
        """The adapters'."""
        return [ParameterGroup(list(self.implants.parameters()))]

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Focal and dice of the map, and cross entropy of the mean probability, each summed over the layers."""
        truth = masks_of(batch)
        texts = self.read(batch.products or [self.product] * len(batch), truth.device)  # (N, 2, D)
        places, wholes = self.implants(self.encoder, batch.images)
        maps, labels = self._maps(places, texts, truth.shape[1:]), truth.flatten(1).amax(1)
        self.updates.add()
        means = [text_margin(each, texts, self.temperature).sigmoid().mean((1, 2)) for each in wholes]  # (N,)
        return {
            "image": torch.stack([F.binary_cross_entropy_with_logits(each, labels) for each in means]).sum(),
            **map_losses(maps, truth),
        }

    def extract(self, batch: Batch) -> tuple[tuple[Tensor, ...], ...]:
        """What the map's half says of each place of each layer."""
        return tuple((each.flatten(0, 2),) for each in self.implants(self.encoder, batch.images)[0])

    def forward(self, images: Tensor, *, scale: Scale = keep_scale) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction."""
        self.updates.require()
        places, wholes = self.implants(self.encoder, images)  # (N, h, w, D) of each layer
        text = torch.stack(self._maps(places, self.texts[None], images.shape[-2:])).sum(0)  # (N, H, W)
        if not self.banks[0].fitted:
            margins = [text_margin(each, self.texts[None], self.temperature) for each in wholes]  # (N, h, w)
            return Prediction(torch.stack([each.sigmoid().mean((1, 2)) for each in margins]).sum(0), text)
        near = sum_distances(self.banks, places, images.shape[-2:])
        both = fuse_mean(scale("words", text), scale("good parts", near))
        return Prediction(maximum(both), both)

    def published(self, theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Of the authors' file: `seg_adapters` and `det_adapters` have two maps a layer; not all are used."""
        sides, maps = (("seg", 0), ("det", 1)), (("fc1", "inward"), ("fc2", "outward"))
        names = {
            f"implants.{ours}.{2 * at + side}.weight": f"{branch}_adapters.{at}.{part}.0.weight"
            for at in range(len(self.taps))
            for branch, side in sides
            for part, ours in maps
        }
        own = dict(self.named_parameters())
        return {name: theirs[each] for name, each in names.items() if each in theirs and name in own}

    def _maps(self, places: Sequence[Tensor], texts: Tensor, size: Sequence[int]) -> list[Tensor]:
        margins = [text_margin(each, texts, self.temperature) for each in places]
        return [upsample(each, size, corners=True).sigmoid() for each in margins]
