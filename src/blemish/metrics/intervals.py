"""Bootstrap confidence intervals: how far a metric would move with another sample of as many images.

Images are drawn with replacement, normal and anomalous ones apart, so each replicate has as many of both. An interval
runs between two percentiles of the replicates and is widened, where that is needed, to hold the value itself. The same
arguments and seed give the same interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blemish.errors import BadInput
from blemish.metrics import curves, image, pixel
from blemish.metrics.histogram import balanced_edges, bin_pixels

DRAWN_AT_ONCE = 1 << 22  # counts held in memory at a time


class Estimate(NamedTuple):
    """A metric, exact, and its interval: a bootstrap's, unless another is named where it is made."""

    value: float
    low: float
    high: float

    def as_json(self) -> dict[str, float | None]:
        """Plain values, null for those that are not finite."""
        return {name: value if math.isfinite(value) else None for name, value in self._asdict().items()}


class ImageEstimates(NamedTuple):
    """The image metrics of one set of images."""

    auroc: Estimate
    average_precision: Estimate
    f1_max: Estimate


class PixelEstimates(NamedTuple):
    """The pixel metrics of one set of images."""

    auroc: Estimate
    average_precision: Estimate
    f1_max: Estimate
    aupro: Estimate


def estimate(
    metric: Callable[..., float],
    *columns: ArrayLike,
    apart: ArrayLike | None = None,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """Any metric of columns with a row an image each; images with and without `apart` (N,) are drawn apart."""
    values = [np.asarray(column) for column in columns]
    value, rows = metric(*values), np.arange(len(values[0]))
    strata = np.zeros(len(rows), bool) if apart is None else np.asarray(apart, bool)

    def curve(weights: NDArray[np.int64]) -> tuple[NDArray[np.float64]]:
        drawn = (np.repeat(rows, often) for often in weights)
        return (np.array([metric(*(each[chosen] for each in values)) for chosen in drawn]),)

    (replicates,) = _replicates(curve, strata, resamples, seed)
    return _estimate(value, replicates, level)


def image_estimates(
    scores: ArrayLike, labels: ArrayLike, *, resamples: int = 1000, level: float = 0.95, seed: int = 0
) -> ImageEstimates | None:
    """Exact image metrics with intervals; None when a class is missing."""
    values, truth = image.check_scores(scores, labels)
    if truth.all() or not truth.any():
        return None
    order = np.argsort(-values, kind="stable")
    values, truth = values[order], truth[order]
    starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])

    def curve(weights: NDArray[np.int64]) -> tuple[NDArray[np.float64], ...]:
        hits = np.add.reduceat(weights * truth, starts, axis=1)
        misses = np.add.reduceat(weights * ~truth, starts, axis=1)
        return _ranking(hits, misses)

    replicates = _replicates(curve, truth, resamples, seed)
    exact = (metric(values, truth) for metric in (image.auroc, image.average_precision, image.f1_max))
    return ImageEstimates(*(_estimate(v, drawn, level) for v, drawn in zip(exact, replicates, strict=True)))


def pixel_estimates(
    maps: pixel.Maps,
    masks: pixel.Masks,
    *,
    limit: float = 0.3,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    bins: int = 1000,
    ranked: pixel.RankedPixels | None = None,
) -> PixelEstimates | None:
    """Exact pixel metrics with intervals from resampled images; None when a class of pixels is missing.

    The value is exact; its interval comes from histograms of `bins` bins an image, moved by the small difference
    between the exact value and that of the histograms. Maps are read three times; memory grows by three rows of `bins`
    counts an image. `ranked` are the pixels of these maps, where they have been ranked before.
    """
    ranked = ranked or pixel.rank_pixels(maps, masks)
    if not len(ranked.scores) or not ranked.negatives:
        return None
    edges = balanced_edges(ranked, bins)
    rows = [bin_pixels(map_, mask, edges) for map_, mask in pixel.pair_masks(maps, masks)]
    hits, shares, misses = (np.stack(part)[:, ::-1].astype(np.float64) for part in zip(*rows, strict=True))

    def curve(weights: NDArray[Any]) -> tuple[NDArray[np.float64], ...]:
        counts = weights.astype(np.float64)
        negatives = counts @ misses
        above = np.cumsum(negatives, axis=1) - negatives
        pro = curves.area(counts @ shares, above, negatives, limit * negatives.sum(1))
        return *_ranking(counts @ hits, negatives), pro

    drawn = _replicates(curve, hits.sum(axis=1) > 0, resamples, seed)
    coarse = curve(np.ones((1, len(hits))))
    exact = (
        pixel.auroc(ranked),
        pixel.average_precision(ranked),
        pixel.f1_max(ranked),
        pixel.aupro(ranked, limit=limit),
    )
    moved = (replicates + (value - near) for value, near, replicates in zip(exact, coarse, drawn, strict=True))
    return PixelEstimates(*(_estimate(v, np.clip(by, 0, 1), level) for v, by in zip(exact, moved, strict=True)))


def _ranking(hits: NDArray[Any], misses: NDArray[Any]) -> tuple[NDArray[np.float64], ...]:
    """AUROC, AP and F1max of (R, T) positives and negatives a score, highest first: three (R,)."""
    alarms = np.cumsum(misses, axis=1)
    negatives = alarms[:, -1]
    return (
        curves.area(hits, alarms - misses, misses, negatives),
        curves.average_precision(hits, alarms, negatives),
        curves.f1_max(hits, alarms, negatives),
    )


def _replicates(
    curve: Callable[[NDArray[np.int64]], tuple[NDArray[np.float64], ...]],
    anomalous: NDArray[np.bool_],
    resamples: int,
    seed: int,
) -> list[NDArray[np.float64]]:
    """The metrics of each resample: one (resamples,) a metric."""
    if resamples < 1:
        raise BadInput(f"resamples={resamples}: an interval needs at least 1, and 1000 are usual")
    blocks = [curve(weights) for weights in _draws(anomalous, resamples, seed)]
    return [np.concatenate(metric) for metric in zip(*blocks, strict=True)]


def _draws(anomalous: NDArray[np.bool_], resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """How often each image is drawn, (R, N) a block; one stream a class, so the block size changes no draw."""
    strata = [np.flatnonzero(anomalous == kind) for kind in (False, True)]
    generators = [np.random.default_rng([seed, kind]) for kind in (0, 1)]
    block = max(1, DRAWN_AT_ONCE // len(anomalous))
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        weights = np.zeros((rows, len(anomalous)), np.int64)
        for members, generator in zip(strata, generators, strict=True):
            if len(members):
                even = np.full(len(members), 1 / len(members))
                weights[:, members] = generator.multinomial(len(members), even, size=rows)
        yield weights


def _estimate(value: float, replicates: NDArray[np.float64], level: float) -> Estimate:
    """The value between two percentiles, widened to hold it."""
    if not 0 < level < 1:
        raise BadInput(f"level={level} is not a confidence level: it must lie between 0 and 1, for example 0.95")
    # A resample can lack negative pixels altogether when every picture is all defect; it then ranks nothing.
    kept = replicates[~np.isnan(replicates)]
    low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2]) if len(kept) else (value, value)
    return Estimate(value, min(value, float(low)), max(value, float(high)))
