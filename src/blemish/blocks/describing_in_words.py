"""What a picture, or a region of it, looks like in numbers, and where it lies among sentences."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.blocks.describing import describe_places, gather_places
from blemish.blocks.heads import quarters
from blemish.types import TextEncoder


class DescribingInWords(nn.Module):
    """How a classifier sees that both describes and compares with sentences: `look`, `places` and `gather`.

    A description, see `blocks.describing.Balance`, begins with its embedding in the space of sentences.
    """

    encoder: TextEncoder

    @torch.no_grad()
    def look(self, images: Tensor) -> Tensor:
        """Whole pictures (N, 3, H, W) in [0, 1] -> (N, D)."""
        seen = self.encoder(images, layers=quarters(self.encoder.depth))
        places = describe_places(seen.patches)
        return gather_places(places, places.new_ones(places.shape[:3]), F.normalize(seen.image, dim=-1))

    @torch.no_grad()
    def places(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> patches in the space of sentences, and what all layers have there: (N, h, w, E + C)."""
        patches = self.encoder(images, layers=quarters(self.encoder.depth)).patches
        meant = F.normalize(self.encoder.project(patches[-1]), dim=-1)
        return describe_places([meant, describe_places(patches)])

    def gather(self, places: Tensor, weights: Tensor) -> Tensor:
        """(N, h, w, E + C), (N, h, w) -> (N, D)."""
        meant, rest = places.split([self.encoder.width, places.shape[-1] - self.encoder.width], -1)
        return gather_places(rest, weights, self.meaning(torch.einsum("nhw,nhwe->ne", weights, meant)))

    def meaning(self, seen: Tensor) -> Tensor:
        """What descriptions (..., D) say in the space of sentences: unit vectors (..., E)."""
        return F.normalize(seen[..., : self.encoder.width], dim=-1)
