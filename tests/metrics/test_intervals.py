from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from blemish.errors import BadInput
from blemish.metrics import image, intervals, pixel
from blemish.metrics.intervals import image_estimates, pixel_estimates


def scored(seed: int, *, count: int = 120, shift: float = 1.0) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2 == 0
    return rng.normal(size=count) + shift * labels, labels


def scene(seed: int, *, images: int = 24) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    masks = np.zeros((images, 24, 24), dtype=bool)
    for index in range(0, images, 2):
        masks[index, 3 : 6 + index // 4, 4:9] = masks[index, 18:20, 18:20] = True
    strength = rng.uniform(0.5, 2.5, size=(images, 1, 1))
    return (rng.normal(size=masks.shape) + masks * strength).astype(np.float32), masks


def test_the_values_are_those_of_the_metrics() -> None:
    scores, labels = scored(0)
    found = image_estimates(scores, labels)
    assert found is not None
    assert found.auroc.value == image.auroc(scores, labels)
    assert found.average_precision.value == image.average_precision(scores, labels)
    assert found.f1_max.value == image.f1_max(scores, labels)


def test_pixel_values_are_those_of_the_exact_metrics() -> None:
    maps, masks = scene(0)
    found, ranked = pixel_estimates(maps, masks, limit=0.1, resamples=20), pixel.rank_pixels(maps, masks)
    assert found is not None
    assert found.auroc.value == pixel.auroc(ranked)
    assert found.average_precision.value == pixel.average_precision(ranked)
    assert found.f1_max.value == pixel.f1_max(ranked)
    assert found.aupro.value == pixel.aupro(ranked, limit=0.1)


def test_an_interval_holds_its_value_and_lies_in_the_unit_range() -> None:
    images, pixels = image_estimates(*scored(1)), pixel_estimates(*scene(1), resamples=50)
    assert images is not None
    assert pixels is not None
    for estimate in (*images, *pixels):
        assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
        assert estimate.low < estimate.high


def test_a_vectorised_replicate_is_the_metric_of_the_repeated_images() -> None:
    scores, labels = scored(2, count=30)
    order = np.argsort(-scores)  # draws are of images in falling order
    scores, labels = np.round(scores[order]), labels[order]
    weights = next(intervals._draws(labels, 1, 5))[0]
    repeated = image.auroc(np.repeat(scores, weights), np.repeat(labels, weights))
    found = image_estimates(scores, labels, resamples=1, seed=5)
    assert found is not None
    value, low, high = found.auroc
    assert (low if low < value else high) == pytest.approx(repeated, abs=1e-12)


def test_a_binned_replicate_is_close_to_the_exact_metric_of_the_repeated_images() -> None:
    maps, masks = scene(3)
    weights = next(intervals._draws(masks.sum(axis=(1, 2)) > 0, 1, 7))[0]
    ranked = pixel.rank_pixels(np.repeat(maps, weights, axis=0), np.repeat(masks, weights, axis=0))
    repeated = (pixel.auroc(ranked), pixel.average_precision(ranked), pixel.f1_max(ranked), pixel.aupro(ranked))
    found = pixel_estimates(maps, masks, resamples=1, seed=7)
    assert found is not None
    for exact, (value, low, high) in zip(repeated, found, strict=True):
        replicate = low if low < value else high
        assert replicate == pytest.approx(exact, abs=3e-3)


def test_each_class_is_resampled_to_its_own_size() -> None:
    labels = np.arange(50) % 5 == 0
    weights = next(intervals._draws(labels, 40, 0))
    assert (weights[:, labels].sum(1) == 10).all()
    assert (weights[:, ~labels].sum(1) == 40).all()


def test_the_block_size_changes_no_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = image_estimates(*scored(4), resamples=64)
    monkeypatch.setattr(intervals, "DRAWN_AT_ONCE", 1000)
    assert image_estimates(*scored(4), resamples=64) == whole


def test_the_seed_decides_the_interval() -> None:
    assert image_estimates(*scored(5), seed=1) == image_estimates(*scored(5), seed=1)
    assert image_estimates(*scored(5), seed=1) != image_estimates(*scored(5), seed=2)


def test_a_higher_level_gives_a_wider_interval() -> None:
    narrow, wide = (image_estimates(*scored(6), level=level) for level in (0.5, 0.99))
    assert narrow is not None
    assert wide is not None
    assert wide.auroc.low < narrow.auroc.low < narrow.auroc.high < wide.auroc.high


def test_intervals_hold_the_truth_about_as_often_as_they_claim() -> None:
    truth = 0.5 * (1 + math.erf(1 / 2))  # AUROC of two unit normals one apart: Phi(1 / sqrt(2))
    found = [image_estimates(*scored(seed), resamples=300, level=0.9) for seed in range(200)]
    held = [estimates.auroc.low <= truth <= estimates.auroc.high for estimates in found if estimates is not None]
    assert len(held) == 200
    assert 0.83 <= np.mean(held) <= 0.97


def test_a_missing_class_has_no_estimates() -> None:
    assert image_estimates([1.0, 2.0], [True, True]) is None
    assert pixel_estimates([np.zeros((4, 4))], [None]) is None
    assert pixel_estimates([np.zeros((4, 4))], [np.ones((4, 4), bool)]) is None


def test_a_resample_without_negatives_is_left_out() -> None:
    maps = np.random.default_rng(0).random((2, 4, 4))
    masks = np.ones((2, 4, 4), dtype=bool)
    masks[0, :2] = False
    found = pixel_estimates(maps, masks, resamples=40)
    assert found is not None
    assert all(math.isfinite(number) for estimate in found for number in estimate)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_a_level_that_is_no_share_is_refused(level: float) -> None:
    with pytest.raises(BadInput, match="confidence level"):
        image_estimates(*scored(0), level=level)


def test_no_resamples_and_no_bins_are_refused() -> None:
    with pytest.raises(BadInput, match="resamples"):
        image_estimates(*scored(0), resamples=0)
    with pytest.raises(BadInput, match="bins"):
        pixel_estimates(*scene(0), bins=1)
