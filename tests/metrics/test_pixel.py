from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from blemish.errors import BadInput
from blemish.metrics import pixel
from blemish.metrics.histogram import PixelHistogram, balanced_edges

Map = NDArray[np.float32]
Mask = NDArray[np.bool_]


def scene(seed: int, *, levels: int = 10**6, images: int = 6) -> tuple[list[Map], list[Mask | None]]:
    """Maps of different sizes; every other one has defects that score higher, and touches another corner to corner."""
    rng = np.random.default_rng(seed)
    maps: list[Map] = []
    masks: list[Mask | None] = []
    for index in range(images):
        shape = (14 + index, 20 - index % 7)
        mask = np.zeros(shape, dtype=bool)
        if index % 2:
            mask[1:4, 2:6] = mask[4, 6] = mask[9:12, 9:10] = True
        scores = np.floor((rng.normal(size=shape) + mask) * levels) / levels
        maps.append(scores.astype(np.float32))
        masks.append(mask if index % 4 else None)
    return maps, masks


def test_few_points_of_the_curves_are_exact() -> None:
    maps, masks = scene(0, levels=40)
    found = pixel.trace_curves(pixel.rank_pixels(maps, masks), points=20)
    assert found is not None
    scores, labels = flat(maps, masks)
    exact = {
        ((scores[~labels] >= level).mean(), (scores[labels] >= level).mean()) for level in np.unique(scores[labels])
    }
    points = list(zip(found.rate, found.recall, strict=True))
    assert 10 < len(points) <= 62
    assert points[0] == (0, 0)
    assert points[-1] == (1, 1)
    assert {(round(x, 9), round(y, 9)) for x, y in points[1:-1]} <= {(round(x, 9), round(y, 9)) for x, y in exact}
    assert (np.diff(found.overlap) >= 0).all()


def test_the_areas_under_few_points_are_nearly_the_metrics() -> None:
    ranked = pixel.rank_pixels(*scene(1, images=30))
    found = pixel.trace_curves(ranked)
    assert found is not None
    assert np.trapezoid(found.recall, found.rate) == pytest.approx(pixel.auroc(ranked), abs=2e-3)
    assert np.trapezoid(found.overlap, found.rate) == pytest.approx(pixel.aupro(ranked, limit=1), abs=2e-3)


def test_without_a_class_there_is_no_curve() -> None:
    assert pixel.trace_curves(pixel.rank_pixels([np.zeros((4, 4))], [None])) is None


def flat(maps: list[Map], masks: list[Mask | None]) -> tuple[Map, Mask]:
    truth = [np.zeros(m.shape, bool) if y is None else y for m, y in zip(maps, masks, strict=True)]
    scores, labels = np.concatenate([m.ravel() for m in maps]), np.concatenate([y.ravel() for y in truth])
    return scores[~np.isnan(scores)], labels[~np.isnan(scores)]


def plain_aupro(maps: list[Map], masks: list[Mask | None], limit: float) -> float:
    """The definition, a threshold and a region at a time."""
    scores, labels = flat(maps, masks)
    regions = []
    for map_, mask in zip(maps, masks, strict=True):
        numbered, count = ndimage.label(np.zeros(map_.shape) if mask is None else mask, structure=np.ones((3, 3)))
        members = [map_[numbered == number + 1] for number in range(count)]
        regions += [member[~np.isnan(member)] for member in members if not np.isnan(member).all()]
    points = [(0.0, 0.0)]
    for threshold in np.unique(scores)[::-1]:
        overlap = float(np.mean([(region >= threshold).mean() for region in regions]))
        points.append((float((scores[~labels] >= threshold).mean()), overlap))
    rates, overlaps = np.array(points).T
    inside = rates <= limit
    at_limit = np.interp(limit, rates[np.searchsorted(rates, limit, "right") - 1 :], overlaps[inside.sum() - 1 :])
    xs, ys = np.array([*rates[inside], limit]), np.array([*overlaps[inside], at_limit])
    return float((np.diff(xs) * (ys[1:] + ys[:-1]) / 2).sum() / limit)


def every_metric(ranked: pixel.RankedPixels) -> list[float]:
    return [pixel.auroc(ranked), pixel.average_precision(ranked), pixel.f1_max(ranked), pixel.aupro(ranked)]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("levels", [1, 3, 10**6])
def test_metrics_agree_with_scikit_learn(seed: int, levels: int) -> None:
    maps, masks = scene(seed, levels=levels)
    scores, labels = flat(maps, masks)
    ranked = pixel.rank_pixels(maps, masks)
    assert pixel.auroc(ranked) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert pixel.average_precision(ranked) == pytest.approx(average_precision_score(labels, scores), abs=1e-12)
    precision, recall, _ = precision_recall_curve(labels, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    assert pixel.f1_max(ranked) == pytest.approx(f1.max(), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("levels", [1, 3, 10**6])
@pytest.mark.parametrize("limit", [0.01, 0.3, 1.0])
def test_aupro_agrees_with_its_definition(seed: int, levels: int, limit: float) -> None:
    maps, masks = scene(seed, levels=levels)
    ranked = pixel.rank_pixels(maps, masks)
    assert pixel.aupro(ranked, limit=limit) == pytest.approx(plain_aupro(maps, masks, limit), abs=1e-12)


def test_corners_join_regions_and_every_region_weighs_the_same() -> None:
    mask = np.zeros((5, 5), dtype=bool)
    mask[0, 0] = mask[1, 1] = mask[4, 4] = True
    found = np.zeros((5, 5), dtype=np.float32)
    found[4, 4] = 1.0
    found[2, 2] = 0.5
    ranked = pixel.rank_pixels([found], [mask])
    assert ranked.shares.sum() == 2
    assert pixel.aupro(ranked, limit=1 / 22) == 0.5


def test_a_tie_across_the_limit_is_cut_on_a_straight_line() -> None:
    mask = np.array([[True, False, False, False, False]])
    ranked = pixel.rank_pixels([np.zeros((1, 5), np.float32)], [mask])
    assert pixel.aupro(ranked, limit=0.5) == pytest.approx(0.25)


@pytest.mark.parametrize("chunk", [1, 7, 100, 10**6])
def test_the_chunk_changes_nothing(chunk: int) -> None:
    maps, masks = scene(0, levels=3)
    whole, parts = pixel.rank_pixels(maps, masks), pixel.rank_pixels(maps, masks, chunk=chunk)
    for name in ("scores", "hits", "shares", "above", "ties", "negatives"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))


@settings(max_examples=30)
@given(st.lists(st.integers(-5, 5), min_size=12, max_size=12), st.lists(st.booleans(), min_size=12, max_size=12))
def test_an_increasing_transform_changes_nothing(scores: list[int], truth: list[bool]) -> None:
    map_, mask = np.array(scores, dtype=np.float64).reshape(3, 4), np.array(truth).reshape(3, 4)
    raw, warped = (pixel.rank_pixels([values], [mask], chunk=5) for values in (map_, np.exp(map_)))
    np.testing.assert_equal(every_metric(raw), every_metric(warped))


def test_pixels_that_were_not_inspected_count_nowhere() -> None:
    maps, masks = scene(4)
    for map_ in maps:
        map_[2:5, 3:11] = np.nan
    scores, labels = flat(maps, masks)
    ranked = pixel.rank_pixels(maps, masks, chunk=50)
    assert pixel.auroc(ranked) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert pixel.aupro(ranked) == pytest.approx(plain_aupro(maps, masks, 0.3), abs=1e-12)
    assert ranked.negatives == (~labels).sum()


def test_double_precision_scores_are_not_rounded_into_ties() -> None:
    map_ = np.array([[1.0, 1.0 + 1e-12]])
    assert pixel.auroc(pixel.rank_pixels([map_], [np.array([[False, True]])])) == 1.0


def test_maps_on_disk_give_the_same_result(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    maps = rng.random((4, 9, 9), dtype=np.float32)
    masks = rng.random((4, 9, 9)) < 0.2
    stored = np.memmap(tmp_path / "maps", dtype=np.float32, mode="w+", shape=maps.shape)
    stored[:] = maps
    ranked = pixel.rank_pixels(stored, masks)
    assert every_metric(ranked) == every_metric(pixel.rank_pixels(list(maps), list(masks)))


@pytest.mark.parametrize("mask", [None, np.zeros((3, 3), bool), np.ones((3, 3), bool)])
def test_a_missing_class_is_nan(mask: Mask | None) -> None:
    assert all(math.isnan(value) for value in every_metric(pixel.rank_pixels([np.eye(3, dtype=np.float32)], [mask])))


@pytest.mark.parametrize(
    ("map_", "mask", "message"),
    [
        (np.zeros((2, 3)), np.ones((3, 2), bool), "mask 0 is"),
        (np.zeros((2, 3)), np.ones((2, 3), int), "boolean mask"),
        (np.zeros((1, 2, 3)), None, "map 0 is"),
        (np.zeros((2, 3), int), None, "floating-point"),
        (np.full((2, 3), np.inf), None, "infinite"),
        (np.full((2, 3), -np.inf), np.ones((2, 3), bool), "infinite"),
    ],
)
def test_maps_that_cannot_be_ranked_are_refused(map_: NDArray[np.float64], mask: Mask | None, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        pixel.rank_pixels([map_], [mask])


def test_a_mask_is_wanted_for_each_map() -> None:
    with pytest.raises(BadInput, match="2 maps but 1 masks"):
        pixel.rank_pixels([np.zeros((2, 2)), np.zeros((2, 2))], [None])


@pytest.mark.parametrize("limit", [0.0, -0.1, 1.1, math.nan])
def test_a_limit_that_is_no_rate_is_refused(limit: float) -> None:
    with pytest.raises(BadInput, match="false positive rate"):
        pixel.aupro(pixel.rank_pixels(*scene(0)), limit=limit)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("levels", [1, 3, 10**6])
@pytest.mark.parametrize("bins", [2, 5, 40])
def test_the_bounds_of_a_histogram_hold_the_exact_value(seed: int, levels: int, bins: int) -> None:
    maps, masks = scene(seed, levels=levels)
    maps[1][5, 5] = np.nan
    ranked = pixel.rank_pixels(maps, masks)
    histogram = PixelHistogram(np.linspace(-2, 3, bins - 1))
    for map_, mask in zip(maps, masks, strict=True):
        histogram.update(map_, mask)
    bounds = [histogram.auroc(), histogram.average_precision(), histogram.f1_max(), histogram.aupro()]
    for exact, (low, high) in zip(every_metric(ranked), bounds, strict=True):
        assert low - 1e-12 <= exact <= high + 1e-12


def test_the_bounds_close_in_as_bins_are_added() -> None:
    maps, masks = scene(0, images=12)
    ranked = pixel.rank_pixels(maps, masks)
    widths = []
    for bins in (4, 40, 4000):
        histogram = PixelHistogram(np.linspace(-3, 4, bins))
        for map_, mask in zip(maps, masks, strict=True):
            histogram.update(map_, mask)
        low, high = histogram.aupro(limit=0.3)
        widths.append(high - low)
    assert widths[0] > widths[1] > widths[2]
    assert widths[2] < 0.01
    assert pixel.aupro(ranked) > 0


def test_merged_histograms_are_one_histogram_of_all_maps() -> None:
    maps, masks = scene(0)
    edges = balanced_edges(pixel.rank_pixels(maps, masks), 20)
    whole, left, right = (PixelHistogram(edges) for _ in range(3))
    for index, (map_, mask) in enumerate(zip(maps, masks, strict=True)):
        whole.update(map_, mask)
        (left if index < 3 else right).update(map_, mask)
    left.merge(right)
    np.testing.assert_array_equal(left.hits, whole.hits)
    np.testing.assert_array_equal(left.misses, whole.misses)
    np.testing.assert_allclose(left.shares, whole.shares)
    with pytest.raises(BadInput, match="same edges"):
        whole.merge(PixelHistogram([0.0]))


def test_an_empty_histogram_knows_nothing() -> None:
    histogram = PixelHistogram([0.0, 1.0])
    for bounds in (histogram.auroc(), histogram.average_precision(), histogram.f1_max(), histogram.aupro()):
        assert math.isnan(bounds.low)
        assert math.isnan(bounds.high)


@pytest.mark.parametrize("edges", [[1.0, 1.0], [2.0, 1.0], [np.nan], [[0.0]]])
def test_edges_must_ascend(edges: list[float]) -> None:
    with pytest.raises(BadInput, match="ascending"):
        PixelHistogram(edges)


def test_balanced_edges_leave_no_bin_with_much_of_the_defects() -> None:
    maps, masks = scene(1, images=20)
    ranked = pixel.rank_pixels(maps, masks)
    edges = balanced_edges(ranked, 30)
    counts = np.bincount(np.searchsorted(edges, np.repeat(ranked.scores, ranked.hits), side="right"))
    assert len(edges) <= 29
    assert counts.max() <= ranked.hits.sum() * 3 / 30 + 1
