"""Pixel metrics of an endless stream: counts in fixed bins, and exact bounds for each metric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blemish.errors import BadInput
from blemish.metrics import curves
from blemish.metrics.pixel import RankedPixels, check_limit, pair_masks, positive_pixels, refuse_infinite


class Bounds(NamedTuple):
    """The exact value of a metric lies between these two, ends included; both are nan when a class is missing."""

    low: float
    high: float


class PixelHistogram:
    """Counts of pixels between ascending `edges`; memory is that of the bins, however many maps are added.

    A bin holds its lower edge and not its upper one, and the outer bins are open, so every score has a bin. The bounds
    are those of the best and the worst order of pixels inside the bins: choose edges that spread the defects' pixels,
    for example with `balanced_edges` on a first sample.
    """

    def __init__(self, edges: ArrayLike) -> None:
        self.edges = np.asarray(edges)
        if self.edges.ndim != 1 or not np.isfinite(self.edges).all() or (np.diff(self.edges) <= 0).any():
            raise BadInput("edges must be finite and strictly ascending, shape (B - 1,)")
        bins = len(self.edges) + 1
        self.hits = np.zeros(bins, np.int64)
        self.shares = np.zeros(bins)
        self.misses = np.zeros(bins, np.int64)

    def update(self, map_: NDArray[Any], mask: NDArray[np.bool_] | None) -> None:
        """Add one map (H, W) and its mask (H, W), None for a good image; nan pixels are left out."""
        hits, shares, misses = bin_pixels(map_, mask, self.edges)
        self.hits += hits
        self.shares += shares
        self.misses += misses

    def merge(self, other: PixelHistogram) -> None:
        """Add the pixels another histogram of the same edges has seen."""
        if not np.array_equal(self.edges, other.edges):
            raise BadInput("histograms of different edges cannot be merged: make both with the same edges")
        self.hits += other.hits
        self.shares += other.shares
        self.misses += other.misses

    def auroc(self) -> Bounds:
        """Bounds of `pixel.auroc`."""
        return _area_bounds(self.hits[::-1], self.misses[::-1], limit=1.0)

    def aupro(self, *, limit: float = 0.3) -> Bounds:
        """Bounds of `pixel.aupro`."""
        return _area_bounds(self.shares[::-1], self.misses[::-1], limit=check_limit(limit))

    def average_precision(self) -> Bounds:
        """Bounds of `pixel.average_precision`."""
        hits, end, negatives = self._falling()
        high = curves.average_precision(hits, end - self.misses[::-1], negatives)
        # Worst: all of a bin's negatives come before its positives, one by one. The i-th then has precision
        # 1 - end / (before + end + i), and the sum of 1 / (before + end + i) is at most the logarithm below.
        before = np.cumsum(hits) - hits
        lost = end * np.log1p(np.divide(hits, before + end, out=np.zeros(len(hits)), where=end > 0))
        return _bounds((hits - lost).sum() / max(hits.sum(), 1), high)

    def f1_max(self) -> Bounds:
        """Bounds of `pixel.f1_max`."""
        hits, end, negatives = self._falling()
        best = curves.f1_max(hits, end - self.misses[::-1], negatives)
        return _bounds(curves.f1_max(hits, end, negatives), best)

    def _falling(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Positives of each bin, highest first, negatives down to its lower edge, and the number of negatives."""
        end = np.cumsum(self.misses[::-1])
        return self.hits[::-1], end, end[-1]


def bin_pixels(
    map_: NDArray[Any], mask: NDArray[np.bool_] | None, edges: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Positive pixels, parts of regions and negative pixels of one map in each bin, ascending: three (B,)."""
    ((map_, mask),) = pair_masks([map_], [mask])
    pixels = np.sort(map_, axis=None)
    pixels = pixels[: np.searchsorted(pixels, pixels.dtype.type(np.nan))]
    refuse_infinite(pixels)
    everything = np.diff(np.searchsorted(pixels, edges), prepend=0, append=len(pixels))
    scores, shares = positive_pixels(map_, mask)
    bins = np.searchsorted(edges, scores, side="right")
    hits = np.bincount(bins, minlength=len(everything))
    return hits, np.bincount(bins, weights=shares, minlength=len(everything)), everything - hits


def balanced_edges(ranked: RankedPixels, bins: int) -> NDArray[Any]:
    """At most `bins - 1` ascending scores between which positives, regions and negatives are all spread evenly.

    A bin that holds more than one distinct positive score has at most a share 3 / bins of each of the three.
    """
    if bins < 2:
        raise BadInput(f"bins={bins}: an interval needs at least 2")
    parts: Sequence[NDArray[Any]] = (np.cumsum(ranked.hits), np.cumsum(ranked.shares), ranked.above + ranked.ties)
    travelled = sum(part / max(part[-1], 1e-9) for part in parts) if len(ranked.scores) else np.empty(0)
    stops = np.searchsorted(travelled, np.arange(1, bins) * 3 / bins)
    return np.unique(ranked.scores[np.minimum(stops, len(ranked.scores) - 1)]) if len(ranked.scores) else np.empty(0)


def _area_bounds(hits: NDArray[Any], misses: NDArray[np.int64], *, limit: float) -> Bounds:
    """The area when the positives of each bin come before its negatives, and when they come after."""
    end = np.cumsum(misses)
    budget, apart = limit * end[-1], np.zeros_like(misses)
    return _bounds(curves.area(hits, end, apart, budget), curves.area(hits, end - misses, apart, budget))


def _bounds(low: ArrayLike, high: ArrayLike) -> Bounds:
    best = float(np.asarray(high))
    return Bounds(best if np.isnan(best) else float(np.asarray(low)), best)
