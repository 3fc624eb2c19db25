"""MVREC. Lyu et al., "MVREC: A General Few-shot Defect Classification Model Using Multi-View Region-Context",
AAAI 2025, arXiv:2412.16897.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.caches import cache_votes, even_values, fuse_views
from blemish.blocks.descent import descend
from blemish.blocks.learned import Learned
from blemish.blocks.region_crops import box_of, crop_boxes, crop_sizes, cut_with_border
from blemish.blocks.similarity import cosine
from blemish.encoders.capabilities import geometry
from blemish.encoders.inputs import as_tensor
from blemish.images import frame
from blemish.types import Encoder, Geometry, RegionEncoder, SeamEncoder, TypedExamples


class MVREC(nn.Module):
    """Zip-Adapter on 27 crops round each region: sum over examples of exp(-beta (1 - cos(phi q, phi k))) / tau.

    sizes: of square crops in pixels of the picture, nine of each; of a region that is the whole picture they are of
        its sides, from a half to all of them.
    steps: of training the keys and phi(x) = x + SiLU(W x + b), which is x at first; with beta=1 and 500 steps it is
        Zip-Adapter-F, which is better, and takes minutes where there are many types.
    Deviation: the authors show AlphaCLIP the region, and so does this where the encoder has those weights; with any
        other a description is the embedding of the crop beside the mean of the last layer's places in the region, each
        a unit vector. Of types with more examples each counts less, so that all types count alike. Views are not
        changed in colour. The authors take a softmax of the fused probabilities once more, which orders them alike.
    """

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        types: Sequence[str],
        several: bool = False,
        beta: float = 32.0,
        tau: float = 0.11,
        steps: int = 0,
        rate: float = 1e-4,
        sizes: Sequence[int] = (256, 384, 512),
        image_size: int | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.types, self.several = encoders.load(encoder), tuple(types), several
        self.beta, self.tau, self.steps, self.rate, self.sizes = beta, tau, steps, rate, tuple(sizes)
        self.image_size, self.geometry = image_size, geometry(self.encoder, image_size)
        self.cache, self.phi = Learned("keys: M D", "values: M K"), Learned("slope: D D", "offset: D")

    def crop(self, picture: Tensor, region: Tensor) -> tuple[Tensor, Tensor]:
        """(3, H, W), bool (H, W) -> (27, 3, s, s), (27, s, s)."""
        boxes = crop_boxes(box_of(region), crop_sizes(region, self.sizes))
        crops = [_frame(cut_with_border(picture, box), self.geometry) for box in boxes]
        shown = region.float().expand(3, -1, -1)
        return torch.stack(crops), torch.stack([_frame(cut_with_border(shown, box), self.geometry)[0] for box in boxes])

    @torch.no_grad()
    def look_inside(self, crops: Tensor, regions: Tensor) -> Tensor:
        """(V, 3, s, s), (V, s, s) -> (V, D)."""
        if self._sees_regions:
            return cast(RegionEncoder, self.encoder).encode_regions(crops, regions)
        seen = self.encoder(crops, layers=[self.encoder.depth])
        places = seen.patches[0]
        weights = F.adaptive_avg_pool2d(regions, (places.shape[1], places.shape[2])) + 1e-6
        return torch.cat([F.normalize(seen.image, dim=-1), _mean(places, weights)], 1)

    def look(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, D)."""
        return self.look_inside(images, images.new_ones(images.shape[0], *images.shape[2:]))

    @torch.no_grad()
    def places(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, h, w, C)."""
        last = [self.encoder.depth]
        if self._sees_regions:
            return cast(SeamEncoder, self.encoder)(images, layers=last, projected=True).patches[0]
        return self.encoder(images, layers=last).patches[0]

    def gather(self, places: Tensor, weights: Tensor) -> Tensor:
        """(N, h, w, C), (N, h, w) -> (N, D), in which the embedding, which is of no region, is 0."""
        mean = _mean(places, weights)
        return mean if self._sees_regions else F.pad(mean, (self.encoder.width, 0))

    def fit(self, examples: TypedExamples) -> Self:
        """The mean of each example's views is a key; Zip-Adapter-F trains keys and phi on the views."""
        self.phi.forget()
        self.cache.store({"keys": examples.seen.mean(1), "values": even_values(examples.types)})
        if self.steps:
            self._train(examples)
        return self

    def forward(self, seen: Tensor) -> Tensor:
        """(N, V, D) -> logits (N, K)."""
        self.cache.require()
        learned = (self.phi.get_buffer("slope"), self.phi.get_buffer("offset")) if self.phi.fitted else None
        fused = fuse_views(self.logits(seen, self.cache.get_buffer("keys"), learned))
        return fused - (-fused.exp()).clamp_min(-1 + 1e-6).log1p() if self.several else fused

    def logits(self, seen: Tensor, keys: Tensor, phi: tuple[Tensor, Tensor] | None) -> Tensor:
        """Of each view alone: (N, V, D), keys (M, D), W and b of phi -> (N, V, K)."""
        if phi is not None:
            seen, keys = (x + F.silu(F.linear(x, *phi)) for x in (seen, keys))
        return cache_votes(cosine(seen, keys), self.cache.get_buffer("values"), self.beta) / self.tau

    def _train(self, examples: TypedExamples) -> None:
        targets = examples.types / examples.types.sum(1, keepdim=True).clamp_min(1)
        targets = targets[:, None].expand(-1, examples.seen.shape[1], -1)
        key, (slope, offset) = nn.Parameter(examples.seen.mean(1)), _start(examples.seen)
        optimizer = torch.optim.AdamW([key, slope, offset], lr=self.rate, eps=1e-6)
        decline = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps, self.rate / 10)

        def loss() -> Tensor:
            logits = self.logits(examples.seen, key, (slope, offset))
            return F.cross_entropy(logits.flatten(0, 1), targets.flatten(0, 1))

        descend(optimizer, loss, steps=self.steps, decline=decline)
        self.cache.store({"keys": key})
        self.phi.store({"slope": slope, "offset": offset})

    @property
    def _sees_regions(self) -> bool:
        return isinstance(self.encoder, RegionEncoder) and self.encoder.sees_regions


def _mean(places: Tensor, weights: Tensor) -> Tensor:
    return F.normalize(torch.einsum("nhw,nhwc->nc", weights, places), dim=-1)


def _start(seen: Tensor) -> tuple[nn.Parameter, nn.Parameter]:
    width = seen.shape[-1]
    return nn.Parameter(seen.new_zeros(width, width)), nn.Parameter(seen.new_zeros(width))


def _frame(picture: Tensor, shape: Geometry) -> Tensor:
    return as_tensor(frame(picture.numpy(), shape))
