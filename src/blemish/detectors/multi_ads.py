"""MultiADS. Sadikaj, Zhou, Halilaj, Schmid, Staab & Plant, "MultiADS: Defect-aware Supervision for Multi-type Anomaly
Detection and Segmentation in Zero-Shot Learning", ICCV 2025, arXiv:2504.06740.
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
from blemish.blocks.losses import choose_class, dice, focal_certainty, masks_of
from blemish.blocks.maps import fuse_mean, keep_scale, upsample
from blemish.blocks.memory import MemoryBank, sum_distances
from blemish.blocks.prompts import ProductTexts, ensemble, type_prototypes, type_words
from blemish.blocks.similarity import anomaly_probability
from blemish.encoders.capabilities import geometry
from blemish.training.schedule import Schedule
from blemish.training.trainable import ParameterGroup
from blemish.types import GOOD, Batch, Encoder, Features, Prediction, Scale, TextEncoder


class MultiADS(nn.Module):
    """Patches of several layers, each through its trained linear head, against words for a good part and for every type
    of defect; after `fit`, against the same layers' patches of good parts as well.

    anomaly_map: the sum over layers of the probability of all types, and, fitted, of the distance to a good patch.
    image_score: the mean of its three highest values. Training soon takes these near 1 a layer in good pictures too,
        and then they tell little. With `global_score` it is the mean of the picture's own probability of all types and
        of the highest value, divided by 1 a layer, fitted 2: the authors do so for MultiADS-F, so by default where
        `plausible` is given. Deviation: they scale that value by all pictures of a product, which `scale` is for.
    type_scores, type_map: each type's probability there, summed over the layers; the likeliest by words, -1 for none.
    defects: the types that training is told, by their names, which are their words too (`_` for a space), or names with
        words, {"uneven": "uneven grinding"}. plausible: those that the inspected product may have, trained on or not
        (MultiADS-F); else all. Without either there is one class, any damage. Defects of another type teach no type.
    emphasis: of the defect in the dice loss, where the authors' code multiplies the mask by 5 and the paper does not.
    quantile: where `fit` learns pictures of which nobody knows whether they are good (domain adaptation): distances are
        to that share of their patches, the authors' is 0.0001, without the nearest, which may be the place itself.
    Each picture is of one type, and its words name its own product where a batch says it. The authors run OpenAI's
    weights with `activation="gelu"` and `resize="bicubic-antialias"`, see `encoders.load`. Deviation: they write six
    phrases by hand for each type; here a type is read in one, "product with type", so that any name will do.
    """

    texts: Tensor
    banks: Sequence[MemoryBank]

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        product: str = "object",
        defects: Sequence[str] | Mapping[str, str] = (),
        plausible: Sequence[str] | Mapping[str, str] = (),
        layers: Sequence[int] | None = None,
        temperature: float = 0.01,
        words: str = "april-gan",
        emphasis: float = 5.0,
        global_score: bool | None = None,
        quantile: float | None = None,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = cast(TextEncoder, encoders.load(encoder, needs={"text"}))
        self.product, self.defects, self.plausible, self.layers = product, defects, plausible, layers
        self.temperature, self.words, self.emphasis = temperature, words, emphasis
        self.global_score, self.quantile, self.image_size, self.seed = global_score, quantile, image_size, seed
        self.geometry, self.types = geometry(self.encoder, image_size), tuple(type_words(plausible or defects))
        self.taps = tuple(layers or quarters(self.encoder.depth))
        self.heads = LayerHeads([self.encoder.widths[tap - 1] for tap in self.taps], self.encoder.width, seed=seed)
        self.updates = Updates()
        self.banks = cast("Sequence[MemoryBank]", nn.ModuleList(MemoryBank() for _ in self.taps))
        read = partial(type_prototypes, self.encoder, words=ensemble(words), normalize_sentences=True)
        self.read = ProductTexts(partial(read, defects=defects))
        # Not saved: a detector that was trained on some products is asked about others, by their words.
        self.register_buffer("texts", read(product, plausible or defects), persistent=False)  # (1 + K, D)
        self.requires_grad_(False).eval()

    @property
    def schedule(self) -> Schedule:
        """The authors', for the 1,725 test pictures of MVTec AD once: Adam at a constant rate."""
        return Schedule(steps=432, rate=1e-3, batch_size=4, betas=(0.5, 0.999), floor=1.0)

    def trained_parameters(self) -> list[ParameterGroup]:
        """The heads'."""
        return [ParameterGroup(list(self.heads.parameters()))]

    @torch.no_grad()
    def frozen(self, images: Tensor) -> Features:
        """What the encoder sees in (N, 3, H, W): the layers that the heads read."""
        return self.encoder(images, layers=self.taps)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Focal loss of the classes and dice loss of all types together, each half, mean over the layers."""
        seen, truth = batch.features or self.frozen(batch.images), masks_of(batch)
        texts = self.read(batch.products or [self.product] * len(batch), truth.device)  # (N, 1 + K, D)
        maps = self._maps(seen.patches, texts, truth.shape[-2:])  # (N, 1 + K, H, W) each
        order = {GOOD: 0} | {name: number for number, name in enumerate(type_words(self.defects), start=1)}
        numbers = torch.tensor([order.get(each, -1) for each in batch.types or [""] * len(batch)], device=truth.device)
        focal = [focal_certainty(choose_class(each, truth, numbers), classes=each.shape[1]) for each in maps]
        overlap = [dice(each[:, 1:].sum(1), self.emphasis * truth) for each in maps]
        self.updates.add()
        return {"focal": torch.stack(focal).mean() / 2, "dice": torch.stack(overlap).mean() / 2}

    def extract(self, batch: Batch) -> tuple[tuple[Tensor, ...], ...]:
        """Patches of each layer."""
        return tuple((F.normalize(each, dim=-1).flatten(0, 2),) for each in self.frozen(batch.images).patches)

    def forward(self, images: Tensor, *, scale: Scale = keep_scale) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction."""
        self.updates.require()
        (embedding, seen), size = self.frozen(images), images.shape[-2:]
        classes = torch.stack(self._maps(seen, self.texts[None], size)).sum(0)  # (N, 1 + K, H, W)
        whole = classes[:, 1:].sum(1)  # (N, H, W)
        if self.banks[0].fitted:
            whole = whole + sum_distances(self.banks, seen, size, share=self.quantile)
        highest, places = whole.flatten(1).topk(3)  # (N, 3) each
        score = highest.mean(1)
        if bool(self.plausible) if self.global_score is None else self.global_score:
            most = len(seen) * (2 if self.banks[0].fitted else 1)
            picture = anomaly_probability(embedding, self.texts, self.temperature)  # (N,)
            score = fuse_mean(picture, scale("map", highest[:, 0] / most))
        if not self.types:
            return Prediction(score, whole)
        named = classes.flatten(2).gather(2, places[:, None].expand(-1, classes.shape[1], -1)).mean(2)  # (N, 1 + K)
        return Prediction(score, whole, named[:, 1:], classes.argmax(1) - 1)

    def published(self, theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Of the authors' file: its `trainable_linearlayer`."""
        return gather_heads(theirs)

    def _maps(self, layers: Sequence[Tensor], texts: Tensor, size: Sequence[int]) -> list[Tensor]:
        """Each layer's probability of each class: (N, h, w, C_l), (N or 1, 1 + K, D) -> (N, 1 + K, H, W)."""
        found = [each / self.temperature for each in self.heads.along(layers, texts.mT[:, None])]
        return [upsample(each.movedim(-1, 1), size, corners=True).softmax(1) for each in found]
