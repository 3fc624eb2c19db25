"""CLIP-ADA. Cai, He, Liang, Tong & Bai, "Anomaly Detection by Adapting a pre-trained Vision Language Model", 2024,
arXiv:2403.09493. Reconstructed from the abstract.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.closeups import blend_closeups, closeup_batch, closeups_of_peaks, look_closer
from blemish.blocks.heads import MapRefiner, ProjectedHeads, quarters
from blemish.blocks.learned import Updates
from blemish.blocks.learned_prompts import LearnedPrompts
from blemish.blocks.losses import attraction, dice, focal_probability, masks_of
from blemish.blocks.maps import covered_cells, smooth, top_mean, upsample
from blemish.blocks.patches import join_layers
from blemish.encoders.capabilities import geometry
from blemish.training.schedule import Schedule
from blemish.training.trainable import ParameterGroup
from blemish.types import Batch, Encoder, Features, Prediction, PromptEncoder

TEMPERATURE = 0.07
TOP = 0.01  # of the map, whose mean is the image's score


class CLIPADA(nn.Module):
    """Patches of several layers against one learned sentence that is tied to simulated defects, for all products.

    anomaly_map: probability of the sentence, in [0, 1], smoothed. image_score: mean of its highest 1 % before that.
    refine: "crops" looks again, at full size, at squares round the `crops` strongest regions above what good parts
        reach; "decoder" corrects the map by two convolutions, in one pass; "none".
    heads: "linear" adds a map of each layer into the space of sentences to the tower's own projection, which begins as
        nothing where the tower has one for that layer; "none" uses the tower's own alone, and the last layer.
    The abstract says: one learned prompt, tied to abnormal patterns by self-supervision; one model for all categories;
    a refinement of regions; the map is the prompt's similarity with the image. All else is chosen here, see the card.
    """

    sentence: Tensor
    offset: Tensor
    level: Tensor

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        layers: Sequence[int] | None = None,
        tokens: int = 12,
        suffix: str = "defect",
        heads: Literal["linear", "none"] = "linear",
        refine: Literal["crops", "decoder", "none"] = "crops",
        crops: int = 4,
        sigma: float = 4.0,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = cast(PromptEncoder, encoders.load(encoder, needs={"text", "prompts"}))
        self.layers, self.tokens, self.suffix, self.heads, self.refine = layers, tokens, suffix, heads, refine
        self.crops, self.sigma, self.image_size, self.seed = crops, sigma, image_size, seed
        self.geometry, self.closeups = geometry(self.encoder, image_size), "all" if refine == "crops" else "none"
        width, last = self.encoder.width, self.encoder.depth
        self.taps = tuple(layers or quarters(last)) if heads == "linear" else (last,)
        self.prompt = LearnedPrompts([suffix], self.encoder.prompt_width, tokens=tokens, seed=seed)
        widths = [self.encoder.widths[tap - 1] for tap in self.taps] if heads == "linear" else []
        self.projections = ProjectedHeads(widths, width, own=self.encoder.widths[-1], seed=seed)
        self.bias = nn.Parameter(torch.zeros(len(self.taps)))
        self.temperature = nn.Parameter(torch.full([len(self.taps)], TEMPERATURE).log())
        self.refiner = MapRefiner(width, seed=seed) if refine == "decoder" else None
        self.updates = Updates()
        self.register_buffer("sentence", torch.zeros(width))  # what the prompt says
        self.register_buffer("offset", torch.zeros(len(self.taps)))  # what good patches have with the first sentence
        self.register_buffer("level", torch.zeros(()))  # 95 % of the places of good parts are below it
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """As any module's; when training ends the sentence is read once, for all pictures to come."""
        if not mode:
            self.sentence = self.prompt(self.encoder)[0].detach()
        return super().train(mode)

    @property
    def schedule(self) -> Schedule:
        """AdamW with half a cosine; batches of 8, to which close-ups add as many."""
        return Schedule(steps=2000, rate=1e-3, batch_size=8 if self.refine == "crops" else 16)

    def trained_parameters(self) -> list[ParameterGroup]:
        """The prompt, offsets and temperatures, and at half the rate the heads."""
        heads = [*self.projections.parameters(), *(self.refiner.parameters() if self.refiner else ())]
        groups = {1.0: [self.prompt.context, self.bias, self.temperature], 0.5: heads}
        return [ParameterGroup(each, rate=rate, decay=1e-4) for rate, each in groups.items() if each]

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Focal and dice loss of the map, cross entropy of the score, and what ties the prompt to the defects."""
        batches = [batch, closeup_batch(batch)] if self.refine == "crops" else [batch]
        seen = [(each.features or self.frozen(each.images)).patches for each in batches]
        layers = [torch.cat(same) for same in zip(*seen, strict=True)]
        truth = torch.cat([masks_of(each) for each in batches])
        sentence = self.prompt(self.encoder)[0]  # (D,), with gradients
        patches = self.projections(layers, self.encoder.project)  # (N, h_l, w_l, D) each
        cosines = [each @ sentence for each in patches]  # (N, h_l, w_l) each
        flawed, members = truth.flatten(1).amax(1), [covered_cells(truth, each.shape[1:]) for each in cosines]
        if not self.updates.fitted:
            means = [each[~inside].mean() for each, inside in zip(cosines, members, strict=True)]
            self.offset.copy_(torch.stack(means).detach())
        logits = self._logits(cosines, patches)  # (N, h, w)
        if len(good := logits[flawed == 0].detach().sigmoid().float()):
            self.level.lerp_(good.quantile(0.95), 0.1 if self.updates.fitted else 1.0)  # a running level
        found = upsample(logits, truth.shape[-2:]).sigmoid()
        self.updates.add()
        return {
            "focal": focal_probability(found, truth),
            "dice": dice(found, truth),
            "score": F.binary_cross_entropy(top_mean(found, TOP), flawed),
            "tie": torch.stack([attraction(*each) for each in zip(cosines, members, strict=True)]).mean(),
        }

    @torch.no_grad()
    def frozen(self, images: Tensor) -> Features:
        """What the encoder sees in (N, 3, H, W): the layers that the heads read."""
        return self.encoder(images, layers=self.taps)

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction, both parts in [0, 1]."""
        self.updates.require()
        found = self._map(images)  # (N, H, W)
        if self.refine == "crops" and (closeups := closeups_of_peaks(found, float(self.level), most=self.crops)):
            found = blend_closeups(found, self._map(look_closer(images, closeups)), closeups)
        return Prediction(top_mean(found, TOP), smooth(found, self.sigma))

    def _map(self, images: Tensor) -> Tensor:
        patches = self.projections(self.frozen(images).patches, self.encoder.project)
        return upsample(self._logits([each @ self.sentence for each in patches], patches), images.shape[-2:]).sigmoid()

    def _logits(self, cosines: Sequence[Tensor], patches: Sequence[Tensor]) -> Tensor:
        """Mean over layers of what is above the offset, in units of the temperature, on the finest grid: (N, h, w)."""
        size = max((each.shape[1:] for each in cosines), key=math.prod)
        above = zip(cosines, self.offset + self.bias, self.temperature.exp(), strict=True)
        logits = torch.stack([upsample((each - zero) / unit, size) for each, zero, unit in above]).mean(0)
        if self.refiner is None:
            return logits
        joined = torch.stack([join_layers([each], size=size) for each in patches]).mean(0)  # (N, h, w, D)
        return cast(Tensor, self.refiner(logits, joined))
