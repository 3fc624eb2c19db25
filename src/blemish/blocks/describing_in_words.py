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
        whole, places = self.see(images)
        return gather_places(self.split(places)[1], places.new_ones(places.shape[:3]), whole)

    @torch.no_grad()
    def places(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> patches in the space of sentences, and what all layers have there: (N, h, w, E + C)."""
        return self.see(images)[1]

    @torch.no_grad()
    def see(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Unit embeddings of whole pictures (N, E), and their places."""
        seen = self.encoder(images, layers=quarters(self.encoder.depth))
        meant = F.normalize(self.encoder.project(seen.patches[-1]), dim=-1)
        return F.normalize(seen.image, dim=-1), describe_places([meant, describe_places(seen.patches)])

    def split(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """What places (N, h, w, E + C) mean in the space of sentences, and what layers have there."""
        meant, rest = places.split([self.encoder.width, places.shape[-1] - self.encoder.width], -1)
        return meant, rest

    def gather(self, places: Tensor, weights: Tensor) -> Tensor:
        """(N, h, w, E + C), (N, h, w) -> (N, D)."""
        meant, rest = self.split(places)
        return gather_places(rest, weights, self.meaning(torch.einsum("nhw,nhwe->ne", weights, meant)))

    def meaning(self, seen: Tensor) -> Tensor:
        """What descriptions (..., D) say in the space of sentences: unit vectors (..., E)."""
        return F.normalize(seen[..., : self.encoder.width], dim=-1)
