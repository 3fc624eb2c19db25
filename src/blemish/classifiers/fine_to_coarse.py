"""Several types a picture, from fine to coarse, as in multi-label classification of sewer defects on CLIP (2025):
windows of patches give context to larger ones, and these to the whole. Reconstructed from the abstract, which says
only that; windows, fusion and how it learns are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self, cast

import torch
from torch import Tensor

from blemish import encoders
from blemish.blocks.described_words import SeeingInWords, word_prototypes
from blemish.blocks.learned import Learned
from blemish.blocks.pyramid import fuse_fine_to_coarse, pool_windows
from blemish.blocks.shown_types import even_weights, spread_views, type_errors
from blemish.encoders.capabilities import geometry
from blemish.types import TextEncoder, TypedExamples

SIDES = (4, 2, 1)


class FineToCoarse(SeeingInWords):
    """Cosines of windows with each type, fused from the finest to the whole; examples move what types are.

    Without examples types are their words. With them the likelihood of their types is the highest by which a type's
    vector, its words and what was learned, and its offset explain the fused scores.

    share: of the highest score inside a window in its own. penalty: of the squared length of what was learned.
    steps: of L-BFGS, at most. scale: cosines are multiplied by it.
    """

    texts: Tensor

    def __init__(
        self,
        encoder: str | TextEncoder = encoders.DEFAULT,
        *,
        types: Sequence[str],
        words: Mapping[str, Sequence[str]] | None = None,
        product: str = "object",
        several: bool = False,
        share: float = 0.5,
        penalty: float = 1e-4,
        steps: int = 20,
        scale: float = 20.0,
        image_size: int | None = None,
    ) -> None:
        super().__init__()
        self.encoder = cast(TextEncoder, encoders.load(encoder, needs={"text"}))
        self.types, self.words, self.product, self.several = tuple(types), dict(words or {}), product, several
        self.share, self.penalty, self.steps, self.scale = share, penalty, steps, scale
        self.image_size, self.geometry = image_size, geometry(self.encoder, image_size)
        self.register_buffer("texts", word_prototypes(self.encoder, product, self.types, self.words))
        self.fitted = Learned("vectors: K D", "offset: K")

    @torch.no_grad()
    def look(self, images: Tensor) -> Tensor:
        """Whole pictures (N, 3, H, W) in [0, 1] -> embeddings of all windows, one after the other (N, 21 D)."""
        places = self.places(images)
        return self._windows(places, places.new_ones(places.shape[:3]), super().look(images))

    def gather(self, places: Tensor, weights: Tensor) -> Tensor:
        """(N, h, w, D), (N, h, w) -> windows in which the region lies, (N, 21 D)."""
        return self._windows(places, weights, super().gather(places, weights))

    def fit(self, examples: TypedExamples) -> Self:
        """Of examples of each type, each view of one a row."""
        rows, types = spread_views(examples)
        weights = even_weights(types)
        moved = torch.zeros_like(self.texts, requires_grad=True)
        offset = torch.zeros(len(self.texts), device=rows.device, requires_grad=True)
        search = torch.optim.LBFGS([moved, offset], max_iter=self.steps, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            search.zero_grad()
            each = type_errors(self._scores(rows, self.texts + moved) + offset, types, several=self.several)
            found = (weights * each).sum() + self.penalty * (self.scale * moved).square().sum()
            found.backward()
            return found

        with torch.enable_grad():
            search.step(loss)
        self.fitted.store({"vectors": self.texts + moved, "offset": offset})
        return self

    def forward(self, seen: Tensor) -> Tensor:
        """(N, V, 21 D) -> logits (N, K), the mean over views."""
        count, views = seen.shape[:2]
        known = self.fitted.fitted
        vectors = self.fitted.get_buffer("vectors") if known else self.texts
        found: Tensor = self._scores(seen.flatten(0, 1), vectors).unflatten(0, (count, views)).mean(1)
        if known:
            return found + self.fitted.get_buffer("offset")
        return found - found.mean(1, keepdim=True) if self.several else found

    def _windows(self, places: Tensor, weights: Tensor, whole: Tensor) -> Tensor:
        *fine, _ = SIDES
        windows = [pool_windows(places, weights, side).flatten(1) for side in fine]
        return torch.cat([*windows, whole], 1)

    def _scores(self, seen: Tensor, vectors: Tensor) -> Tensor:
        """Of windows (N, 21 D) with vectors (K, D): (N, K)."""
        windows: Tensor = seen.unflatten(1, (-1, self.encoder.width)) @ vectors.T  # (N, 21, K)
        levels = windows.split([side**2 for side in SIDES], 1)
        grids = [level.unflatten(1, (side, side)) for level, side in zip(levels, SIDES, strict=True)]
        return self.scale * fuse_fine_to_coarse(grids, self.share)
