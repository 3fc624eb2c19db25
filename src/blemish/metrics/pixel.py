"""Pixel metrics, exact for any number of maps: sorting in chunks, in memory for the positive pixels and one chunk.

Every metric follows from how many negative pixels score above, or the same as, each distinct score of a positive pixel:
F1 is greatest and recall grows only at a positive's score. Pixels whose score is nan were not inspected and count
nowhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blemish.errors import BadInput
from blemish.images import components
from blemish.metrics import curves

Maps = Sequence[NDArray[Any]] | NDArray[Any]
Masks = Sequence[NDArray[np.bool_] | None] | NDArray[np.bool_]

MOST_THREADS = 4
"""Threads that sort at once; each needs a few counts for every distinct positive score."""


@dataclass(frozen=True, slots=True)
class RankedPixels:
    """Counts at each distinct score of the positive pixels, highest first: five (T,) arrays; and all negatives."""

    scores: NDArray[Any]
    hits: NDArray[np.int64]  # positive pixels of this score
    shares: NDArray[np.float64]  # the parts of regions they are: all of them add up to the number of regions
    above: NDArray[np.int64]  # negative pixels of a greater score
    ties: NDArray[np.int64]  # negative pixels of the same score
    negatives: int


class Curves(NamedTuple):
    """The pixel ROC and PRO curves in a few points, from 0 to 1 each: three (P,)."""

    rate: NDArray[np.float64]  # share of the other pixels that reach a score
    recall: NDArray[np.float64]  # share of the defects' pixels that reach it
    overlap: NDArray[np.float64]  # the same for each region, averaged over the regions


def auroc(ranked: RankedPixels) -> float:
    """Chance that a defect's pixel scores above any other, a tie counting half; nan when a class is missing."""
    return float(curves.area(ranked.hits, ranked.above, ranked.ties, np.asarray(ranked.negatives)))


def average_precision(ranked: RankedPixels) -> float:
    """Precision averaged over the recall steps, without interpolation (scikit-learn's); nan when a class is missing."""
    return float(curves.average_precision(ranked.hits, ranked.above + ranked.ties, np.asarray(ranked.negatives)))


def f1_max(ranked: RankedPixels) -> float:
    """Greatest F1 of "defect where score >= threshold" over all thresholds; nan when a class is missing."""
    return float(curves.f1_max(ranked.hits, ranked.above + ranked.ties, np.asarray(ranked.negatives)))


def aupro(ranked: RankedPixels, *, limit: float = 0.3) -> float:
    """Area under the mean overlap of regions against the false positive rate from 0 to `limit`, divided by `limit`.

    Bergmann et al., "The MVTec Anomaly Detection Dataset", IJCV 2021; the curve is a straight line across ties and is
    cut exactly at the limit. Regions are 8-connected and all weigh the same. nan when a class is missing.
    """
    budget = check_limit(limit) * ranked.negatives
    return float(curves.area(ranked.shares, ranked.above, ranked.ties, np.asarray(budget)))


def trace_curves(ranked: RankedPixels, *, points: int = 100) -> Curves | None:
    """At most 3 `points` + 2 exact points of the curves, dense where they are steep; None when a class is missing."""
    if not len(ranked.scores) or not ranked.negatives:
        return None
    rate = (ranked.above + ranked.ties) / ranked.negatives
    recall, overlap = (found / found[-1] for found in map(np.cumsum, (ranked.hits, ranked.shares)))
    even = np.linspace(0, 1, points)
    stops = ((rate, even**3), (recall, even), (overlap, even))
    chosen = np.unique([np.minimum(np.searchsorted(curve, at), len(curve) - 1) for curve, at in stops])
    return Curves(*(np.r_[0.0, curve[chosen], 1.0] for curve in (rate, recall, overlap)))


def rank_pixels(maps: Maps, masks: Masks, *, chunk: int = 1 << 21) -> RankedPixels:
    """Rank the pixels of maps (H, W), any sizes, against masks of the same sizes; None is a good image.

    `maps` is read twice, one map at a time, so its items may lie on disk (`numpy.memmap`). `chunk` is how many pixels
    are sorted at once; it changes memory and speed, never the result.
    """
    positives = [positive_pixels(map_, mask) for map_, mask in pair_masks(maps, masks)]
    dtype = np.result_type(np.float32, *(scores for scores, _ in positives))
    scores, hits, shares = _distinct(positives, dtype)
    del positives
    reached, tied, total = _counts(maps, scores, dtype, max(chunk, 1))
    # All pixels were counted; taking the positives away is exact and saves picking the negatives out of every map.
    ties = tied - hits
    above = total - reached - tied - (hits.sum() - np.cumsum(hits))
    order = slice(None, None, -1)
    return RankedPixels(scores[order], hits[order], shares[order], above[order], ties[order], int(total - hits.sum()))


def positive_pixels(map_: NDArray[Any], mask: NDArray[np.bool_] | None) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Scores of the defects' inspected pixels and the part of its region each one is: two (P,)."""
    if mask is None or not mask.any():
        return np.empty(0, dtype=map_.dtype), np.empty(0)
    window = _bounding_box(mask)
    regions, boxes = components(mask[window])
    scores = map_[window]
    inspected = (regions > 0) & ~np.isnan(scores)
    members = regions[inspected]
    return scores[inspected], 1.0 / np.bincount(members, minlength=len(boxes) + 1)[members]


def pair_masks(maps: Maps, masks: Masks) -> Iterator[tuple[NDArray[Any], NDArray[np.bool_] | None]]:
    """Each map with its boolean mask, checked; BadInput names the first pair that does not fit."""
    if len(maps) != len(masks):
        raise BadInput(f"{len(maps)} maps but {len(masks)} masks: give one mask, or None for a good image, to each map")
    for index, (map_, mask) in enumerate(zip(maps, masks, strict=True)):
        if map_.ndim != 2 or not np.issubdtype(map_.dtype, np.floating):
            raise BadInput(f"map {index} is {map_.dtype} {map_.shape}: a map is (height, width) floating-point scores")
        if mask is not None and (mask.shape != map_.shape or mask.dtype != np.bool_):
            raise BadInput(
                f"mask {index} is {mask.dtype} {mask.shape}, its map {map_.shape}: give a boolean mask of that size"
            )
        yield map_, mask


def check_limit(limit: float) -> float:
    """The limit of the false positive rate, if it is one."""
    if not 0 < limit <= 1:
        raise BadInput(f"limit={limit} is not a false positive rate: it must be greater than 0 and at most 1")
    return limit


def refuse_infinite(ordered: NDArray[Any]) -> None:
    """Raise BadInput if an ascending (N,) array holds an infinity; sorting has brought them to the ends."""
    if len(ordered) and np.isinf(ordered[[0, -1]]).any():
        raise BadInput("a map holds an infinite score: scores must be finite, or nan where nothing was inspected")


def _bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _distinct(
    positives: list[tuple[NDArray[Any], NDArray[np.float64]]], dtype: np.dtype[Any]
) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.float64]]:
    """Distinct scores, ascending, with how many pixels and which parts of regions have each."""
    scores = np.concatenate([np.empty(0, dtype), *(scores for scores, _ in positives)], dtype=dtype)
    shares = np.concatenate([np.empty(0), *(shares for _, shares in positives)])
    order = np.argsort(scores)
    scores = scores[order]
    refuse_infinite(scores)
    starts = np.flatnonzero(np.r_[True, scores[1:] != scores[:-1]][: len(scores)])
    hits = np.diff(np.r_[starts, len(scores)])
    summed = np.add.reduceat(shares[order], starts) if len(starts) else np.empty(0)
    return scores[starts], hits, summed


def _counts(
    maps: Maps, levels: NDArray[Any], dtype: np.dtype[Any], chunk: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Pixels below and equal to each level (T,), and the number of inspected pixels."""
    below, equal, total = np.zeros(len(levels), np.int64), np.zeros(len(levels), np.int64), 0
    threads = min(MOST_THREADS, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        for pixels in _chunks(maps, chunk, dtype):
            parts = np.array_split(pixels, threads)
            for lower, same, count in pool.map(partial(_ranks, levels), parts):
                below += lower
                equal += same
                total += count
    return below, equal, total


def _ranks(levels: NDArray[Any], pixels: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """As `_counts` for one array of pixels, which is sorted in place."""
    pixels.sort()
    pixels = pixels[: np.searchsorted(pixels, pixels.dtype.type(np.nan))]
    refuse_infinite(pixels)
    first, equal = np.searchsorted(pixels, levels), np.zeros(len(levels), np.int64)
    if len(pixels):
        found = np.flatnonzero(pixels[np.minimum(first, len(pixels) - 1)] == levels)
        equal[found] = np.searchsorted(pixels, levels[found], side="right") - first[found]
    return first, equal, len(pixels)


def _chunks(maps: Maps, chunk: int, dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    """All pixels in arrays of `chunk`, the last one shorter; each array is overwritten by the next."""
    buffer, filled = np.empty(chunk, dtype), 0
    for map_ in maps:
        pixels = map_.reshape(-1)
        while len(pixels):
            taken = pixels[: chunk - filled]
            buffer[filled : filled + len(taken)] = taken
            filled += len(taken)
            pixels = pixels[len(taken) :]
            if filled == chunk:
                yield buffer
                filled = 0
    if filled:
        yield buffer[:filled]
