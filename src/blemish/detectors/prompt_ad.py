"""PromptAD. Li, Goodge, Liu, Foo, "PromptAD: Learning Prompts with only Normal Samples for Few-Shot Anomaly Detection",
CVPR 2024, arXiv:2404.05231.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.learned import Updates, renew_buffer
from blemish.blocks.learned_prompts import AnomalyPrompts, one_class_losses
from blemish.blocks.maps import fuse_mean, maximum, smooth, upsample
from blemish.blocks.memory import MemoryBank
from blemish.blocks.rows import Rows
from blemish.blocks.windows import fuse_harmonic
from blemish.encoders.capabilities import geometry
from blemish.training.schedule import Schedule
from blemish.training.trainable import ParameterGroup
from blemish.types import Batch, Capability, Encoder, Features, Prediction, PromptEncoder

FAULTY = tuple(f"{look} {{}}" for look in ("damaged", "flawed", "abnormal", "imperfect", "blemished")) + tuple(
    f"{{}} with {what}" for what in ("flaw", "defect", "damage")
)


class PromptAD(nn.Module):
    """Pictures and patches against sentences learned from good parts alone; after `fit`, against those parts as well.

    image_score: half the harmonic mean of the probability of the anomalous sentences for the whole picture and the
        highest distance of a patch to a good one. anomaly_map: the same of each patch, blurred. Without good parts
        both are of the sentences alone.
    defects: what can go wrong, in words, beside general states (the authors list those of each product's test set).
    prompts, patch_prompts: normal sentences of the two sets, for pictures and for patches, which share nothing.
    layers: whose patches are compared with good parts, by default (3, 8) of 12, of other depths the same shares.
    last: sentences meet patches of a second stream through the last `last` blocks, all by default, where values attend
        to values, and none in a residual network.
    scale: of cosines; the code takes ln 100, the logarithm of CLIP's, for the scale itself.
    Deviation: AdamW instead of SGD; good patches are a block's output (the code's have the next attention in them).
    """

    texts: Tensor

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        product: str = "object",
        defects: Sequence[str] = (),
        prompts: int = 3,
        patch_prompts: int = 1,
        anomalous: int = 4,
        tokens: int = 4,
        layers: Sequence[int] | None = None,
        last: int | None = None,
        scale: float = 4.6052,
        weight: float = 0.001,
        sigma: float = 4.0,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        needs: set[Capability] = {"text", "prompts", "seams"} if last else {"text", "prompts"}
        self.encoder = cast(PromptEncoder, encoders.load(encoder, needs=needs))
        self.product, self.defects, self.prompts, self.patch_prompts = product, defects, prompts, patch_prompts
        self.anomalous, self.tokens, self.layers, self.last, self.scale = anomalous, tokens, layers, last, scale
        self.weight, self.sigma, self.image_size, self.seed = weight, sigma, image_size, seed
        self.geometry, depth = geometry(self.encoder, image_size), self.encoder.depth
        self.taps = tuple(layers or (max(1, depth // 4), max(1, depth * 2 // 3)))
        said = product, (*FAULTY, *(f"{{}} with {defect}" for defect in defects)), self.encoder.prompt_width
        self.sets = nn.ModuleList(
            AnomalyPrompts(*said, normal=count, anomalous=anomalous, tokens=tokens, seed=seed + number)
            for number, count in enumerate((prompts, patch_prompts))
        )
        self.banks, self.updates = nn.ModuleList(MemoryBank() for _ in self.taps), Updates()
        self.register_buffer("texts", torch.zeros(2, 2, self.encoder.width))  # of pictures and of patches: normal, not
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """As any module's; when training ends the sentences are read once, for all pictures to come."""
        return renew_buffer(
            super().train(mode), "texts", lambda: torch.stack([each(self.encoder).anchors for each in self.sets])
        )

    @property
    def schedule(self) -> Schedule:
        """The authors' 100 steps with all good parts in each, down to a rate of 1e-5."""
        return Schedule(steps=100, rate=2e-3, batch_size=16, floor=0.005)

    def trained_parameters(self) -> list[ParameterGroup]:
        """The prompts'."""
        return [ParameterGroup(list(self.sets.parameters()), decay=5e-4)]

    def frozen(self, images: Tensor) -> Features:
        """What training sees: the embedding of the picture, and its patches in the space of sentences."""
        with torch.no_grad():
            embedding, patches, _ = self._look(images)
        return Features(embedding, (patches,))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Of the good parts of a batch, for either set of sentences."""
        embedding, (patches,) = batch.features or self.frozen(batch.images)
        good = slice(None) if batch.labels is None else ~batch.labels
        seen = {"image": embedding[good], "patch": patches[good].flatten(1, 2)}
        losses = dict[str, Tensor]()
        for prompts, (name, values) in zip(self.sets, seen.items(), strict=True):
            terms = one_class_losses(F.normalize(values, dim=-1), prompts(self.encoder), self.scale)
            losses |= {f"{name}_{term}": loss for term, loss in terms.items()}
            losses[f"{name}_align"] = self.weight * losses[f"{name}_align"]
        self.updates.add()
        return losses

    def extract(self, batch: Batch) -> tuple[Rows, ...]:
        """Patches of each layer."""
        return tuple((F.normalize(each, dim=-1).flatten(0, 2),) for each in self._look(batch.images)[2])

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction."""
        self.updates.require()
        embedding, patches, layers = self._look(images)
        size, toward = images.shape[-2:], self.scale * (self.texts[:, 1] - self.texts[:, 0])  # (2, D)
        whole = (F.normalize(embedding, dim=-1) @ toward[0]).sigmoid()  # (N,)
        text = (F.normalize(patches, dim=-1) @ toward[1]).sigmoid()  # (N, h, w)
        banks = cast("Sequence[MemoryBank]", self.banks)
        if not banks[0].fitted:
            return Prediction(whole, smooth(upsample(text, size), self.sigma))
        grids = [bank.distance(each) / 2 for bank, each in zip(banks, layers, strict=True)]  # in [0, 1]
        near = fuse_mean(*(upsample(each, text.shape[1:]) for each in grids))
        score = fuse_harmonic(whole, maximum(upsample(near, size))) / 2
        return Prediction(score, smooth(upsample(fuse_harmonic(text, near) / 2, size), self.sigma))

    def _look(self, images: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Image embedding, patches in its space from the second stream, and the layers from the first."""
        depth, last = self.encoder.depth, self.encoder.depth if self.last is None else self.last
        if "seams" not in self.encoder.can:
            embedding, (*grids, final) = self.encoder(images, layers=(*self.taps, depth))
            return embedding, self.encoder.project(final), grids
        kept = dict[int, Tensor]()
        seams: dict[str, Any] = {"attention": "vv", "last": last, "projected": True}
        seams["between"] = lambda tokens, number: kept.setdefault(number, tokens)  # of the first stream
        embedding, (patches,) = self.encoder(images, layers=[depth], **seams)
        size = patches.shape[1:3]
        return embedding, patches, [kept[tap][:, -size.numel() :].float().unflatten(1, size) for tap in self.taps]
