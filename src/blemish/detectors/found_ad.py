"""FoundAD. Zhai, Zhou, Deng, Heckler, Navab & Busam, "Foundation Visual Encoders Are Secretly Few-Shot Anomaly
Detectors", ICLR 2026, arXiv:2510.01934.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.learned import Updates
from blemish.blocks.maps import smooth, upsample
from blemish.blocks.patches import join_layers, middle
from blemish.blocks.projection import ManifoldProjector, name_projector
from blemish.encoders.capabilities import geometry
from blemish.training.fabric import randomness
from blemish.training.schedule import Schedule
from blemish.training.trainable import ParameterGroup
from blemish.types import Batch, Encoder, Features, Prediction, SeamEncoder


class FoundAD(nn.Module):
    """How far patches are from where a projector moves them that was taught to give back what few good parts show,
    and to undo made defects. One model may learn several products.

    image_score: the mean of the `top` highest squared distances of patches, per channel: the authors' 10 for MVTec AD
        (6 for VisA), of a grid of 32 x 32. anomaly_map: these distances, blurred by `sigma` (anomalib: 4); the authors
        do not blur.
    layers: by default the third last of a transformer, after its last norm as in the authors' code, which is what the
        distances are measured in. Deviation: of a network whose layers have several widths those at a half and three
        quarters of the depth, side by side, each place normalised.
    dropout: of what the projector is shown.
    Deviation: a batch shows each good part as it is and with its defect, where the authors draw one or the other for
        all of a batch. Positions, which they leave off by default, are left out.
    """

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        layers: Sequence[int] | None = None,
        width: int = 384,
        depth: int = 6,
        heads: int = 12,
        dropout: float = 0.2,
        top: int = 10,
        sigma: float = 0.0,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = encoders.load(encoder)
        self.layers, self.width, self.depth, self.heads = layers, width, depth, heads
        self.dropout, self.top, self.sigma = dropout, top, sigma
        self.image_size, self.seed = image_size, seed
        self.geometry = geometry(self.encoder, image_size)
        widths, last = self.encoder.widths, self.encoder.depth
        self.taps = tuple(layers or (middle(last) if len(set(widths)) > 1 else (max(1, last - 2),)))
        with randomness(torch.device("cpu"), seed):
            channels = sum(widths[tap - 1] for tap in self.taps)
            self.projector = ManifoldProjector(channels, width=width, depth=depth, heads=heads)
        self.updates = Updates()
        self.requires_grad_(False).eval()

    @property
    def schedule(self) -> Schedule:
        """The authors' for one good part of each product of MVTec AD, at a constant rate."""
        return Schedule(steps=2000, rate=1e-3, batch_size=8, floor=1.0)

    def trained_parameters(self) -> list[ParameterGroup]:
        """The projector's."""
        return [ParameterGroup(list(self.projector.parameters()), decay=1e-4)]

    @torch.no_grad()
    def frozen(self, images: Tensor) -> Features:
        """What the encoder sees, as distances are measured: (N, h, w, C)."""
        image, patches = self.encoder(images, layers=self.taps)
        if "seams" in self.encoder.can:
            return Features(image, (join_layers([cast(SeamEncoder, self.encoder).norm(each) for each in patches]),))
        return Features(image, (join_layers([F.layer_norm(each, each.shape[-1:]) for each in patches]),))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Mean squared distance of what is made of good parts, and of these with a made defect, to the good part."""
        (seen,) = (batch.features or self.frozen(batch.images)).patches
        twins = torch.arange(len(seen), device=seen.device) if batch.twins is None else batch.twins
        known = slice(None) if batch.labels is None else ~batch.labels[twins]  # whose good part is there
        moved = self.projector(F.dropout(seen[known], self.dropout, self.training))
        self.updates.add()
        return {"distance": F.mse_loss(moved, seen[twins][known])}

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction in squared distances, >= 0."""
        self.updates.require()
        (seen,) = self.frozen(images).patches
        grid = (seen - self.projector(seen)).square().mean(-1)  # (N, h, w)
        highest = grid.flatten(1).topk(min(self.top, grid[0].numel())).values  # (N, k)
        return Prediction(highest.mean(1), smooth(upsample(grid, images.shape[-2:]), self.sigma))

    def published(self, theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Of the authors' file: `predictor`."""
        return name_projector(theirs, "projector.")
