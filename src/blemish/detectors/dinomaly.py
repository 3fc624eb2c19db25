"""Dinomaly. Guo, Lu, Zhang, Chen, Li & Liao, "Dinomaly: The Less Is More Philosophy in Multi-Class Unsupervised Anomaly
Detection", CVPR 2025, arXiv:2405.14325.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.learned import Updates
from blemish.blocks.maps import fuse_mean, smooth, top_mean, upsample
from blemish.blocks.patches import join_layers, middle
from blemish.blocks.reconstruction import Decoder, mined_cosine
from blemish.encoders.capabilities import geometry
from blemish.training.fabric import randomness
from blemish.training.schedule import Schedule
from blemish.training.trainable import ParameterGroup
from blemish.types import Batch, Encoder, Features, Prediction

HEAD = 64
"""Channels of a head of attention, as in every vision transformer of DINOv2."""


class Dinomaly(nn.Module):
    """Patches of an encoder's middle layers, rebuilt by a decoder that has seen only good parts and attends to the
    whole picture alike: 1 - cosine of what is there and what was rebuilt. One model may learn several products.

    image_score: the mean of the highest `fraction` of the map, in [0, 2]. anomaly_map: blurred at `map_size` pixels as
        in the authors' evaluation, or at the picture's own size if that is 0.
    layers: of which the first half is one group and the rest another; by default the authors', 3 to 10 of 12 and every
        second from 5 to 19 of 24; of other depths the same shares. Deviation: where layers have several widths, as in
        a residual network, those at a half and three quarters of the depth stand side by side as one, for both groups.
    hardest: share of places that count wholly, after `ramp` steps; the gradient of the others is multiplied by `easy`.
    Deviation: class and register tokens do not pass the decoder (the authors' code has that as `remove_class_token`):
        an encoder gives patches, and the loss and the map leave the others out. Deviation: the blur's border is
        mirrored, as in anomalib; the authors take 0 outside, which lowers the map's margin.
    """

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        layers: Sequence[int] | None = None,
        blocks: int = 8,
        dropout: float = 0.2,
        hardest: float = 0.1,
        ramp: int = 1000,
        easy: float = 0.1,
        fraction: float = 0.01,
        map_size: int = 256,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = encoders.load(encoder)
        self.layers, self.blocks, self.dropout, self.hardest = layers, blocks, dropout, hardest
        self.ramp, self.easy, self.fraction, self.map_size = ramp, easy, fraction, map_size
        self.image_size, self.seed = image_size, seed
        self.geometry = geometry(self.encoder, image_size)
        self.taps = tuple(layers or self._middle())
        widths = [self.encoder.widths[tap - 1] for tap in self.taps]
        self.alike = len(set(widths)) == 1
        width = widths[0] if self.alike else sum(widths)
        heads = max(n for n in range(1, max(2, width // HEAD + 1)) if width % n == 0)
        with randomness(torch.device("cpu"), seed):
            self.decoder = Decoder(width, blocks, heads, dropout=dropout)
        self.updates = Updates()
        self.requires_grad_(False).eval()

    @property
    def schedule(self) -> Schedule:
        """The authors' for MVTec AD. Deviation: AdamW, whose steps are not bounded as those of StableAdamW are."""
        return Schedule(steps=10_000, rate=2e-3, batch_size=16, warmup=100, floor=0.1, clip=0.1)

    def trained_parameters(self) -> list[ParameterGroup]:
        """The bottleneck's and the decoder's."""
        return [ParameterGroup(list(self.decoder.parameters()), decay=1e-4)]

    @torch.no_grad()
    def frozen(self, images: Tensor) -> Features:
        """What the encoder sees."""
        return self.encoder(images, layers=self.taps)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """1 - cosine of whole groups, of good parts; defects are left out."""
        seen = batch.features or self.frozen(batch.images)
        labels = batch.labels
        pairs = self._pairs(seen.patches if labels is None else [layer[~labels] for layer in seen.patches])
        share = min(1.0, self.updates.number / self.ramp) * (1 - self.hardest)
        self.updates.add()
        return {"cosine": torch.stack([mined_cosine(*pair, share=share, factor=self.easy) for pair in pairs]).mean()}

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction, both parts in [0, 2]."""
        self.updates.require()
        size = images.shape[-2:]
        pairs = self._pairs(self.encoder(images, layers=self.taps).patches)
        maps = [upsample(1 - F.cosine_similarity(*pair, dim=-1), size, corners=True) for pair in pairs]  # (N, H, W)
        whole = fuse_mean(*maps)
        seen = upsample(whole, [self.map_size] * 2) if self.map_size else whole
        blurred = smooth(seen, 4.0, radius=2, border="mirror")
        return Prediction(top_mean(blurred, self.fraction), upsample(blurred, size))

    def _pairs(self, layers: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """What is there and what was rebuilt, of each group: (N, h, w, C) a layer -> (N, h, w, C) twice."""
        size = layers[0].shape[1:3]
        there = [join_layers([layer], size=size) for layer in layers] if self.alike else [join_layers(layers)]
        mean = fuse_mean(*there)  # (N, h, w, C)
        rebuilt = [each.view(mean.shape) for each in self.decoder(mean.flatten(1, 2))]
        halves = _halves(there) if len(there) > 1 else [there, there]
        return [(fuse_mean(*one), fuse_mean(*other)) for one, other in zip(halves, _halves(rebuilt), strict=True)]

    def _middle(self) -> Sequence[int]:
        depth = self.encoder.depth
        if len(set(self.encoder.widths)) > 1:
            return middle(depth)
        first, step = depth // 6 + 1, max(1, depth // 12)
        return [*range(first, max(first + 1, depth * 5 // 6) + 1, step)][:8]


def _halves(items: list[Tensor]) -> list[list[Tensor]]:
    middle = (len(items) + 1) // 2
    return [items[:middle], items[middle:]]
