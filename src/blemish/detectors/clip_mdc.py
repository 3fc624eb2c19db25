"""CLIP-MDC. Ha, Hwang & Jeong, J. Intell. Manuf. 2026, published 17 January. Reconstructed from the abstract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn

from blemish import encoders
from blemish.blocks.closeups import view_defects, view_pictures
from blemish.blocks.learned import Updates
from blemish.blocks.losses import focal, grid_losses, open_cross_entropy, unlikeness
from blemish.blocks.maps import smooth, upsample
from blemish.blocks.patches import join_layers, middle, pool_neighbours
from blemish.blocks.pixelwise import MapHead, ScoreHead, TypeHead, initialise, name_regions, pool_regions, pool_truth
from blemish.blocks.prompts import type_prompts, type_prototypes
from blemish.blocks.targets import targets_of, with_made
from blemish.encoders.capabilities import geometry
from blemish.synth.published.feature_noise import noise_in_spots
from blemish.training.fabric import randomness
from blemish.training.schedule import Schedule
from blemish.training.trainable import ParameterGroup
from blemish.types import Batch, Encoder, Features, Prediction, TextEncoder


class CLIPMDC(nn.Module):
    """A map, a score and the types of defects in one pass of a light backbone; types are sentences, product x defect.

    image_score: logit of the score head. anomaly_map: probability of a defect, in [0, 1], smoothed.
    type_scores: of all regions together, softmax over these and the sentences of a good part. type_map: of each region
        where a defect is likelier than not; -1, unknown, where no type is more probable than `sure`.
    defects: names of types, or with words, {"uneven": "uneven grinding"}; those of no label are told by words alone.
    text: an encoder that reads sentences, unless the encoder itself does.
    clip: what the text encoder sees near a defect is what regions learn to resemble ("teacher"), or what it sees of the
        whole picture is joined to them by a learned weight ("fused"), or "none".
    supervised: labelled defects are among what it learns from, with masks or without; they move the map by the score.
    deviation: of noise in Perlin spots on features of good parts, in units of their own; 0: only `--augment` makes any.
    The abstract says: such prompts, a light backbone beside CLIP, both supervisions, Perlin noise; all else is chosen.
    """

    texts: Tensor

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        text: str | Encoder | None = None,
        product: str = "object",
        defects: Sequence[str] | Mapping[str, str] = (),
        supervised: bool = False,
        clip: Literal["teacher", "fused", "none"] = "teacher",
        layers: Sequence[int] | None = None,
        deviation: float = 0.5,
        threshold: float = 0.2,
        width: int = 256,
        sure: float = 0.5,
        sigma: float = 4.0,
        image_size: int = 256,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder, self.text = encoders.load(encoder), None if text is None else encoders.load(text)
        self.product, self.defects, self.clip = product, defects, clip
        self.closeups = "defects" if clip == "teacher" else "none"
        self.supervised, self.layers, self.deviation, self.threshold = supervised, layers, deviation, threshold
        self.width, self.sure, self.sigma, self.image_size, self.seed = width, sure, sigma, image_size, seed
        self.geometry, self.type_prompts = geometry(self.encoder, image_size), type_prompts(product, defects)
        self.types, self.taps = tuple(filter(None, self.type_prompts)), tuple(layers or middle(self.encoder.depth))
        reader = cast(TextEncoder, encoders.load(self.text or self.encoder, needs={"text"}))
        self.register_buffer("texts", type_prototypes(reader, product, defects))  # (1 + K, D)
        channels = sum(self.encoder.widths[tap - 1] for tap in self.taps)
        self.standardize, self.updates = nn.BatchNorm2d(channels, affine=False), Updates()
        with randomness(torch.device("cpu"), seed):
            self.adapter = nn.Conv2d(channels, channels, 1).apply(initialise)
            self.map_head = MapHead(channels, width).apply(initialise)
            self.score_head = ScoreHead(channels, reduced=64).apply(initialise)
            self.type_head = TypeHead(channels, reader.width, fused=clip == "fused").apply(initialise)
        self.requires_grad_(False).eval()

    @property
    def schedule(self) -> Schedule:
        """As SuperSimpleNet's, with its own number of steps."""
        return Schedule(steps=3000, rate=2e-4, batch_size=32, drops=((0.8, 0.4), (0.9, 0.4)), clip=1.0)

    def trained_parameters(self) -> list[ParameterGroup]:
        """The adapter at half the rate, and the heads."""
        heads = [each for part in (self.map_head, self.score_head, self.type_head) for each in part.parameters()]
        return [ParameterGroup([*self.adapter.parameters()], rate=0.5, decay=1e-5), ParameterGroup(heads, decay=1e-5)]

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Of the map where masks are known, of its peaks where not, of the score, the type, and what CLIP sees."""
        raw = self._join(seen := batch.features or self.frozen(batch.images))  # (N, C, h, w)
        given = targets_of(batch, raw.shape[2:], self.types)
        rows = (~given.bad).nonzero()[:, 0] if self.deviation else given.numbers[:0]  # copied with noise, (M,)
        noise, spots = noise_in_spots(raw, rows, self.deviation, self.threshold, torch.default_generator)
        target, adapted = with_made(given, rows, spots), self.adapter(raw)
        both = torch.cat([raw, raw[rows] + noise])  # (N + M, C, h, w)
        grid = self.map_head(torch.cat([adapted, adapted[rows] + noise]))  # (N + M, 1, h, w)
        score, logits = self.score_head(both, grid if self.supervised else grid.detach()), grid.squeeze(1)
        region = pool_truth(both, logits, target.truth, target.bad & target.known)  # (N + M, 2, C)
        meant = self.type_head(region, both.mean((2, 3)), torch.cat([seen.image, seen.image[rows]]))  # (N + M, 2, D)
        said = open_cross_entropy(self.type_head.logits(meant, self.texts), target.numbers)
        self.updates.add()
        terms = {
            **grid_losses(logits, target.truth, target.known),
            "score": focal(score, target.bad.to(score), gamma=4.0),
            "type": (said * torch.where(target.bad, 1.0, 0.25)).mean(),
        }
        if self.clip == "teacher":
            near = view_defects(self.frozen, batch, given.bad & given.known & ~given.made, seen.image)
            terms["clip"] = 0.2 * unlikeness(meant[: len(batch), 0], near, ~given.made)
        return terms

    @torch.no_grad()
    def frozen(self, images: Tensor) -> Features:
        """What the encoder sees in (N, 3, H, W), as a whole by the one that reads sentences."""
        seen = self.encoder(images, layers=self.taps)
        return seen if self.clip == "none" else Features(view_pictures(self.text, images, seen.image), seen.patches)

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction."""
        self.updates.require()
        seen = self.frozen(images) if self.clip == "fused" else self.encoder(images, layers=self.taps)
        raw = self._join(seen)  # (N, C, h, w)
        grid = self.map_head.after(self.adapter, raw)  # (N, 1, h, w)
        whole = smooth(upsample(grid.squeeze(1).sigmoid(), images.shape[-2:]), self.sigma)  # (N, H, W)
        regions = pool_regions(raw, grid.squeeze(1))
        meant = self.type_head(regions.features, raw.mean((2, 3)), seen.image)  # (N, 1 + R, D)
        said = self.type_head.logits(meant, self.texts).softmax(-1)  # (N, 1 + R, 1 + K)
        return Prediction(self.score_head(raw, grid), whole, *name_regions(regions, said, self.sure, images.shape[-2:]))

    def _join(self, seen: Features) -> Tensor:
        """Layers side by side, each neighbourhood averaged, each channel standardised: (N, C, h, w)."""
        return cast(Tensor, self.standardize(pool_neighbours(join_layers(seen.patches)).permute(0, 3, 1, 2)))
