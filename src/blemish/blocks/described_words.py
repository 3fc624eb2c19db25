"""Names, definitions and attributes of defects -> sentences -> prototypes, and pictures beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.types import TextEncoder

SENTENCES = (
    "a photo of a {product} with {words}.",
    "a close-up photo of {words} on a {product}.",
    "{words} on the surface of a {product}.",
    "a {product} damaged by {words}.",
)
"""Whole sentences, which Yong et al. found to beat lists of terms."""


def sentences_of(product: str, words: str) -> list[str]:
    """What is said of a product with a defect that is so called, or so defined."""
    return [each.format(product=product, words=words) for each in SENTENCES]


def phrases_of(types: Sequence[str], words: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """All that is said of each type: its name, and its words."""
    return [[each.replace("_", " "), *words.get(each, ())] for each in types]


def embed_phrases(encoder: TextEncoder, product: str, groups: Sequence[Sequence[str]]) -> list[Tensor]:
    """Of each group of phrases, means of the unit embeddings of their sentences: (P, D) each, not unit vectors."""
    sentences = [sentence for group in groups for phrase in group for sentence in sentences_of(product, phrase)]
    means: Tensor = F.normalize(encoder.encode_text(sentences), dim=-1).unflatten(0, (-1, len(SENTENCES))).mean(1)
    return list(means.split([len(group) for group in groups]))


def word_prototypes(
    encoder: TextEncoder, product: str, types: Sequence[str], words: Mapping[str, Sequence[str]]
) -> Tensor:
    """Unit embeddings of types (K, D): the mean of the sentences of each name and of all other words for it."""
    parts = embed_phrases(encoder, product, phrases_of(types, words))
    return F.normalize(torch.stack([part.mean(0) for part in parts]), dim=-1)


class SeeingInWords(nn.Module):
    """How a classifier sees that compares pictures with sentences: `look`, `places` and `gather` of `Classifier`."""

    encoder: TextEncoder

    @torch.no_grad()
    def look(self, images: Tensor) -> Tensor:
        """Whole pictures (N, 3, H, W) in [0, 1] -> unit embeddings (N, D)."""
        return F.normalize(self.encoder(images).image, dim=-1)

    @torch.no_grad()
    def places(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> patches in the space of sentences, unit vectors: (N, h, w, D)."""
        last = self.encoder(images, layers=[self.encoder.depth]).patches[0]
        return F.normalize(self.encoder.project(last), dim=-1)

    def gather(self, places: Tensor, weights: Tensor) -> Tensor:
        """(N, h, w, D), (N, h, w) -> unit vectors (N, D)."""
        return F.normalize(torch.einsum("nhw,nhwd->nd", weights, places), dim=-1)
