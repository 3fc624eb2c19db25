"""Several types a picture, from fine to coarse, as in multi-label classification of sewer defects on CLIP (2025):
windows of patches give context to larger ones, and these to the whole. Reconstructed from the abstract, which says
only that; windows, fusion and how it learns are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.descent import search
from blemish.blocks.described_words import word_prototypes
from blemish.blocks.describing import Balance, gather_places
from blemish.blocks.describing_in_words import DescribingInWords
from blemish.blocks.learned import Learned
from blemish.blocks.least_squares import fit_ridge
from blemish.blocks.pyramid import divide_weights, fuse_fine_to_coarse
from blemish.blocks.shown_types import even_weights, spread_views, type_errors
from blemish.encoders.capabilities import geometry
from blemish.errors import BadInput
from blemish.types import TextEncoder, TypedExamples


class FineToCoarse(DescribingInWords):
    """Scores of windows for each type, fused from the finest to the whole, by words and, where there are any, examples.

    Examples are of whole pictures. What is linear in a window's description begins as `ridge` on the whole, and then
    the likelihood of the fused scores is raised.

    finest: windows down and across, a power of 2. share: of the highest score inside a window in its own.
    penalty: of the squared slope. steps: of L-BFGS, at most. scale: of cosines with words.
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
        finest: int = 2,
        share: float = 0.7,
        penalty: float = 1e-4,
        steps: int = 20,
        scale: float = 10.0,
        image_size: int | None = None,
    ) -> None:
        super().__init__()
        if finest < 1 or finest & (finest - 1):
            raise BadInput(f"finest={finest}: windows are halved down to one, so give 1, 2, 4 or 8")
        self.encoder = cast(TextEncoder, encoders.load(encoder, needs={"text"}))
        self.types, self.words, self.product, self.several = tuple(types), dict(words or {}), product, several
        self.finest, self.share, self.penalty = finest, share, penalty
        self.steps, self.scale, self.image_size = steps, scale, image_size
        self.geometry = geometry(self.encoder, image_size)
        self.register_buffer("texts", word_prototypes(self.encoder, product, self.types, self.words))
        self.balance, self.fitted = Balance(self.encoder), Learned("slope: D K", "offset: K")

    @torch.no_grad()
    def look(self, images: Tensor) -> Tensor:
        """Whole pictures (N, 3, H, W) in [0, 1] -> descriptions of all windows, one after the other: (N, W D)."""
        whole, places = self.see(images)
        return self._windows(places, places.new_ones(places.shape[:3]), whole)

    def gather(self, places: Tensor, weights: Tensor) -> Tensor:
        """(N, h, w, E + C), (N, h, w) -> windows in which the region lies, (N, W D)."""
        return self._windows(places, weights, self.meaning(self._mean(places, weights)))

    def fit(self, examples: TypedExamples) -> Self:
        """Of examples of each type, each view of one a row."""
        rows, types = spread_views(examples)
        windows, weights = self._split(rows), even_weights(types)  # (M, W, D)
        self.balance.learn(windows.flatten(0, 1))
        units, said = self.balance(windows), self._words(windows)
        begun = fit_ridge(units[:, -1], types.float(), weights, 0.1)
        slope, offset = (10 * begun.slope).requires_grad_(), (10 * begun.offset - 5 * self.several).requires_grad_()

        def loss() -> Tensor:
            each = type_errors(self._fuse(said + units @ slope + offset), types, several=self.several)
            return (weights * each).sum() + self.penalty * slope.square().sum()

        search([slope, offset], loss, self.steps)
        self.fitted.store({"slope": slope, "offset": offset})
        return self

    def forward(self, seen: Tensor) -> Tensor:
        """(N, V, W D) -> logits (N, K), the mean over views."""
        windows = self._split(seen.flatten(0, 1))
        found = self._words(windows)
        if self.fitted.fitted:
            units: Tensor = self.balance(windows)
            found = found + units @ self.fitted.get_buffer("slope") + self.fitted.get_buffer("offset")
        fused: Tensor = self._fuse(found).unflatten(0, seen.shape[:2]).mean(1)
        return fused

    def _sides(self) -> list[int]:
        return [self.finest >> step for step in range(self.finest.bit_length())]

    def _mean(self, places: Tensor, weights: Tensor) -> Tensor:
        return torch.einsum("nhw,nhwe->ne", weights, self.split(places)[0])

    def _windows(self, places: Tensor, weights: Tensor, whole: Tensor) -> Tensor:
        _, rest = self.split(places)
        parts = [part for side in self._sides()[:-1] for part in divide_weights(weights, side)]
        found = [gather_places(rest, part, self.meaning(self._mean(places, part))) for part in parts]
        return torch.cat([*found, gather_places(rest, weights, whole)], 1)

    def _split(self, seen: Tensor) -> Tensor:
        """(N, W D) -> (N, W, D), the finest windows first and the whole last."""
        windows: Tensor = seen.unflatten(1, (sum(side**2 for side in self._sides()), -1))
        return windows

    def _words(self, windows: Tensor) -> Tensor:
        """What words say of windows (..., D), against what they say of any type: (..., K)."""
        found: Tensor = self.scale * F.normalize(self.meaning(windows), dim=-1) @ self.texts.T
        return found - found.mean(-1, keepdim=True)

    def _fuse(self, scores: Tensor) -> Tensor:
        """Of windows (N, W, K): (N, K)."""
        levels = scores.split([side**2 for side in self._sides()], 1)
        grids = [level.unflatten(1, (side, side)) for level, side in zip(levels, self._sides(), strict=True)]
        return fuse_fine_to_coarse(grids, self.share)
