"""SEM-CLIP: "Precise Few-Shot Learning for Nanoscale Defect Detection in Scanning Electron Microscope Image", ICCAD
2024, arXiv:2502.14884, and SEM-CLIP 2.0. Reconstructed from the abstracts: V-V attention against the background,
prompts of experts, features that text guides, masks, and what is of no known class as an open set. How patches are
pooled, and the head, are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.described_words import sentences_of, word_prototypes
from blemish.blocks.joint_space import comparable_layers, read_in_words
from blemish.blocks.learned import Learned
from blemish.blocks.least_squares import fit_ridge
from blemish.blocks.prompts import prototypes
from blemish.blocks.shown_types import even_weights, familiarity, first_examples, spread_views
from blemish.blocks.similarity import anomaly_probability
from blemish.encoders.capabilities import geometry
from blemish.types import TextEncoder, TypedExamples


class SemClip(nn.Module):
    """Patches that look defective make what is seen, beside the whole; words and examples name it.

    words: the prompts of experts. Of each of their sentences the cosine is a feature, beside the embeddings.
    last: blocks with V-V attention, of a transformer; none: 19 of 24. A residual network has dense patches of its own.
    focus: temperature of how defective a patch looks. temperature: of cosines with types, where there is no example.
    penalty, sharpness, kept: as of `ridge`.
    """

    texts: Tensor
    states: Tensor
    said: Tensor

    def __init__(
        self,
        encoder: str | TextEncoder = encoders.DEFAULT,
        *,
        types: Sequence[str],
        words: Mapping[str, Sequence[str]] | None = None,
        product: str = "object",
        several: bool = False,
        last: int | None = None,
        focus: float = 0.07,
        temperature: float = 0.07,
        penalty: float = 0.1,
        sharpness: float = 10.0,
        kept: int = 200,
        image_size: int | None = None,
    ) -> None:
        super().__init__()
        self.encoder = cast(TextEncoder, encoders.load(encoder, needs={"text"}))
        self.types, self.words, self.product, self.several = tuple(types), dict(words or {}), product, several
        self.last, self.focus, self.temperature = last, focus, temperature
        self.penalty, self.sharpness, self.kept = penalty, sharpness, kept
        self.image_size, self.geometry = image_size, geometry(self.encoder, image_size)
        self.register_buffer("texts", word_prototypes(self.encoder, product, self.types, self.words))
        self.register_buffer("states", prototypes(self.encoder, product))
        phrases = [each for name in self.types for each in (name.replace("_", " "), *self.words.get(name, ()))]
        sentences = [sentence for phrase in phrases for sentence in sentences_of(product, phrase)]
        self.register_buffer("said", F.normalize(self.encoder.encode_text(sentences), dim=-1))
        self.fitted = Learned("mean: D", "scale: D", "slope: D K", "offset: K", "known: R D")

    @torch.no_grad()
    def look(self, images: Tensor) -> Tensor:
        """Whole pictures (N, 3, H, W) in [0, 1] -> what looks defective, and the whole: (N, 2 E)."""
        whole, places = self._read(images)
        return self._focus(places, places.new_ones(places.shape[:3]), whole)

    @torch.no_grad()
    def places(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> patches in the space of sentences, unit vectors: (N, h, w, E)."""
        return self._read(images)[1]

    def gather(self, places: Tensor, weights: Tensor) -> Tensor:
        """(N, h, w, E), (N, h, w) -> what looks defective in a region, and all of it: (N, 2 E)."""
        return self._focus(places, weights, F.normalize(torch.einsum("nhw,nhwe->ne", weights, places), dim=-1))

    def fit(self, examples: TypedExamples) -> Self:
        """Of examples of each type, each view of one a row."""
        rows, types = spread_views(examples)
        features = self._features(rows)
        mean, spread = features.mean(0), (features - features.mean(0)).square().mean(0).sqrt()
        parts = [part.square().mean().sqrt().expand(len(part)) for part in spread.split(self._widths())]
        scale = 1 / torch.cat(parts).clamp_min(1e-6) / features.shape[1] ** 0.5
        self.fitted.store({"mean": mean, "scale": scale})
        known = self._units(rows)
        found = fit_ridge(known, types.float(), even_weights(types), self.penalty)
        self.fitted.store(found._asdict() | {"known": known[first_examples(types, self.kept)]})
        return self

    def forward(self, seen: Tensor) -> Tensor:
        """(N, V, 2 E) -> logits (N, K)."""
        seen = seen.mean(1)
        if not self.fitted.fitted:
            found = F.normalize(seen.unflatten(1, (2, -1)).sum(1), dim=-1) @ self.texts.T / self.temperature
            return found - found.mean(1, keepdim=True) if self.several else found
        rows = self._units(seen)
        share = rows @ self.fitted.get_buffer("slope") + self.fitted.get_buffer("offset")
        known = familiarity(rows, self.fitted.get_buffer("known"))
        return self.sharpness * (share + (-0.5 if self.several else known))

    @torch.no_grad()
    def masks(self, images: Tensor) -> Tensor:
        """Probability that each place is defective, and of that type: (N, 3, H, W) -> (N, K, h, w)."""
        places = self.places(images)
        logits: Tensor = self(torch.cat([places, places], -1).flatten(0, 2)[:, None]).unflatten(0, places.shape[:3])
        return anomaly_probability(places, self.states, self.focus)[:, None] * logits.softmax(-1).movedim(-1, 1)

    def _read(self, images: Tensor) -> tuple[Tensor, Tensor]:
        layer = comparable_layers(self.encoder, None)[-1:]
        seen = read_in_words(self.encoder, images, layer, last=self.last, normed=True)
        return F.normalize(seen.image, dim=-1), F.normalize(seen.patches[0], dim=-1)

    def _focus(self, places: Tensor, weights: Tensor, whole: Tensor) -> Tensor:
        chance = weights * anomaly_probability(places, self.states, self.focus)
        return torch.cat([F.normalize(torch.einsum("nhw,nhwe->ne", chance, places), dim=-1), whole], 1)

    def _widths(self) -> list[int]:
        return [self.encoder.width, self.encoder.width, len(self.said), len(self.said)]

    def _features(self, seen: Tensor) -> Tensor:
        """Both embeddings, and the cosines of both with every sentence: (N, 2 E) -> (N, 2 E + 2 S)."""
        both = F.normalize(seen.unflatten(1, (2, -1)), dim=-1)
        return torch.cat([both.flatten(1), (both @ self.said.T).flatten(1)], 1)

    def _units(self, seen: Tensor) -> Tensor:
        moved = (self._features(seen) - self.fitted.get_buffer("mean")) * self.fitted.get_buffer("scale")
        return F.normalize(moved, dim=-1)
