"""What a picture, or a region of it, looks like, in numbers that tell types of defects apart."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.blocks.heads import quarters
from blemish.blocks.learned import Learned
from blemish.types import Encoder

PART_WEIGHTS = (0.5, 1.0, 1.0)
"""What the mean, the deviation and the maximum of each layer weigh."""
EMBEDDING_WEIGHT = 2.0


def describe_places(layers: Sequence[Tensor]) -> Tensor:
    """Layers (N, h, w, C) side by side at the grid of the second, or the only one: (N, h, w, sum C)."""
    size = layers[min(1, len(layers) - 1)].shape[1:3]
    return torch.cat([_at(layer.permute(0, 3, 1, 2), size) for layer in layers], 1).permute(0, 2, 3, 1)


def _at(layer: Tensor, size: Sequence[int]) -> Tensor:
    """Means of finer places, and coarser ones between each other."""
    if layer.shape[2] >= size[0] and layer.shape[3] >= size[1]:
        return F.adaptive_avg_pool2d(layer, (size[0], size[1]))
    return F.interpolate(layer, list(size), mode="bilinear", align_corners=False)


def gather_places(places: Tensor, weights: Tensor, embedding: Tensor) -> Tensor:
    """An embedding (N, E), and the mean, deviation and maximum of places (N, h, w, C) by their weights: (N, E + 3 C).

    weights: (N, h, w), of which one at least is positive; the maximum is of those of at least half the highest.
    """
    share = weights / weights.sum((1, 2), keepdim=True)
    mean = torch.einsum("nhw,nhwc->nc", share, places)
    square = torch.einsum("nhw,nhwc->nc", share, (places - mean[:, None, None]).square())
    spread = torch.where(square > 0, square, 1.0).sqrt() * (square > 0)  # the slope of a root is infinite at 0
    inside = weights >= weights.amax((1, 2), keepdim=True) / 2
    highest = places.masked_fill(~inside[..., None], -torch.inf).amax((1, 2))
    return torch.cat([embedding, mean, spread, highest], 1)


class Describing(nn.Module):
    """How a classifier sees that looks at all depths of an encoder: `look`, `places` and `gather` of `Classifier`."""

    encoder: Encoder

    @torch.no_grad()
    def look(self, images: Tensor) -> Tensor:
        """Whole pictures (N, 3, H, W) in [0, 1] -> (N, D): the embedding, and what its layers have in them."""
        seen = self.encoder(images, layers=quarters(self.encoder.depth))
        places = describe_places(seen.patches)
        return gather_places(places, places.new_ones(places.shape[:3]), seen.image)

    @torch.no_grad()
    def places(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, h, w, C)."""
        return describe_places(self.encoder(images, layers=quarters(self.encoder.depth)).patches)

    def gather(self, places: Tensor, weights: Tensor) -> Tensor:
        """(N, h, w, C), (N, h, w) -> (N, D), in which the embedding, which is of no region, is 0."""
        return gather_places(places, weights, places.new_zeros(places.shape[0], self.encoder.width))


class Balance(Learned):
    """Descriptions whose parts weigh as said, however large their numbers are, as unit vectors.

    A part is centred, and divided by one deviation of all its numbers, so that what varies little in it still does.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__("mean: D", "scale: D")
        layers = [encoder.widths[layer - 1] for layer in quarters(encoder.depth)]
        self.widths = [encoder.width, *layers * len(PART_WEIGHTS)]
        self.weights = [EMBEDDING_WEIGHT, *(weight for weight in PART_WEIGHTS for _ in layers)]

    def learn(self, rows: Tensor) -> None:
        """From descriptions (M, D)."""
        mean, scales = rows.mean(0), list[Tensor]()
        for part, weight in zip((rows - mean).split(self.widths, 1), self.weights, strict=True):
            spread = part.square().mean().sqrt()
            scale = torch.where(spread > 0, weight / spread.clamp_min(1e-12) / part.shape[1] ** 0.5, 0.0)
            scales.append(scale.expand(part.shape[1]))
        self.store({"mean": mean, "scale": torch.cat(scales)})

    def forward(self, rows: Tensor) -> Tensor:
        """(..., D) -> unit vectors of the same shape."""
        return F.normalize((rows - self.get_buffer("mean")) * self.get_buffer("scale"), dim=-1)
