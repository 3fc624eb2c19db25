"""The numbers of each defect type against their plain definitions, on pictures that are their own anomaly maps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor

from blemish.evaluation import evaluate as evaluation
from blemish.evaluation import kept_maps
from blemish.evaluation.evaluate import Metrics, evaluate
from blemish.images import Unreadable
from blemish.runs.decision import Decided
from blemish.types import GOOD, Geometry, Prediction, Sample

SIDE = 16
Pictures = list[tuple[str, int]]  # a label, and the seed that the picture and its mask are drawn with
drawn = st.lists(
    st.tuples(st.sampled_from([GOOD, GOOD, "dent", "scratch", "spot"]), st.integers(0, 9)), min_size=1, max_size=9
)


class Brightness:
    """The map is the picture, the score its brightest pixel."""

    geometry = Geometry(SIDE)

    def __call__(self, images: Tensor) -> Prediction:
        maps = images.mean(1)
        return Prediction(maps.flatten(1).amax(1), maps)


def pixels(seed: int, label: str) -> NDArray[np.uint8]:
    rng = np.random.default_rng([seed, len(label)])
    values = rng.integers(0, 200, (SIDE, SIDE), dtype=np.uint8)
    values[mask(seed, label)] += np.uint8(rng.integers(0, 56))
    return values


def mask(seed: int, label: str) -> NDArray[np.bool_]:
    if label == GOOD:
        return np.zeros((SIDE, SIDE), bool)
    rng = np.random.default_rng([seed, len(label), 1])
    found = rng.random((SIDE, SIDE)) < 0.06
    found[seed, 3:6] = True
    return found


def samples(folder: Path, pictures: Pictures, *, masks: bool = True) -> list[Sample]:
    made = []
    for number, (label, seed) in enumerate(pictures):
        image, truth = folder / f"{number}.png", folder / f"{number}_mask.png"
        Image.fromarray(np.repeat(pixels(seed, label)[..., None], 3, 2)).save(image)
        Image.fromarray(mask(seed, label).astype(np.uint8) * 255).save(truth)
        made.append(Sample(image, label, (truth,) if masks and label != GOOD else ()))
    return made


def best_f1(truth: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    return float(
        max(2 * (truth & (scores >= t)).sum() / (truth.sum() + (scores >= t).sum()) for t in np.unique(scores))
    )


def pro(maps: NDArray[np.float64], masks: NDArray[np.bool_], limit: float = 0.3) -> float:
    """Area under the mean overlap of regions over the false positive rate up to the limit, by trapezes."""
    levels = np.unique(maps)[::-1]
    regions = [
        maps[number][places == each]
        for number, truth in enumerate(masks)
        for places, count in [ndimage.label(truth, np.ones((3, 3)))]
        for each in range(1, count + 1)
    ]
    rate = np.array([0.0, *((maps[~masks] >= level).mean() for level in levels)])
    overlap = np.array([0.0, *(np.mean([(region >= level).mean() for region in regions]) for level in levels)])
    last = np.searchsorted(rate, limit)
    height = np.interp(limit, rate, overlap)
    x, y = np.r_[rate[:last], limit], np.r_[overlap[:last], height]
    return float(np.trapezoid(y, x) / limit)


def plain(pictures: Pictures) -> dict[str, float]:
    """The metrics of these pictures by their definitions; nan where a class is missing."""
    maps = np.stack([pixels(seed, label) / 255 for label, seed in pictures])
    masks = np.stack([mask(seed, label) for label, seed in pictures])
    truth, scores = np.array([label != GOOD for label, _ in pictures]), maps.reshape(len(pictures), -1).max(1)
    both = bool(truth.any() and not truth.all())
    every, values = masks.ravel(), maps.ravel()
    image: dict[str, Any] = (
        {
            "image_auroc": roc_auc_score(truth, scores),
            "image_ap": average_precision_score(truth, scores),
            "image_f1_max": best_f1(truth, scores),
        }
        if both
        else dict.fromkeys(evaluation.METRICS[:3], math.nan)
    )
    pixel: dict[str, Any] = (
        {
            "pixel_auroc": roc_auc_score(every, values),
            "pixel_ap": average_precision_score(every, values),
            "pixel_f1_max": best_f1(every, values),
            "aupro": pro(maps, masks),
        }
        if truth.any()
        else dict.fromkeys(evaluation.METRICS[3:], math.nan)
    )
    return image | pixel


def agrees(metrics: Metrics, expected: Mapping[str, float]) -> None:
    for name, value in expected.items():
        found = getattr(metrics, name)
        assert (found is None) == math.isnan(value), name
        if found is not None:
            assert found.value == pytest.approx(value, abs=1e-6), name
            assert found.low <= found.value <= found.high, name


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn)
def test_each_type_has_the_metrics_of_its_pictures_and_the_good_ones(tmp_path: Path, pictures: Pictures) -> None:
    report = evaluate(Brightness(), samples(tmp_path, pictures))
    agrees(report.whole, plain(pictures))
    kinds = {label for label, _ in pictures} - {GOOD}
    assert set(report.types) == kinds
    for kind in kinds:
        chosen = [picture for picture in pictures if picture[0] in (GOOD, kind)]
        agrees(report.types[kind], plain(chosen))
        assert report.types[kind].n_anomalous == sum(label == kind for label, _ in pictures)
        assert report.types[kind].n_normal == report.whole.n_normal


def test_a_type_alone_is_all_there_is(tmp_path: Path) -> None:
    report = evaluate(Brightness(), samples(tmp_path, [(GOOD, 0), (GOOD, 1), ("dent", 2), ("dent", 3)]))
    assert report.types["dent"].as_json().items() <= report.as_json().items()


def test_a_type_without_masks_has_image_metrics_only(tmp_path: Path) -> None:
    report = evaluate(Brightness(), samples(tmp_path, [(GOOD, 0), ("dent", 1), ("spot", 2)], masks=False))
    assert report.types["dent"].image_auroc
    assert report.types["dent"].pixel_auroc is None
    assert report.types["dent"].aupro is None


def test_good_pictures_alone_have_no_types(tmp_path: Path) -> None:
    report = evaluate(Brightness(), samples(tmp_path, [(GOOD, 0), (GOOD, 1)]))
    assert report.types == {}
    assert report.as_json()["types"] == {}
    assert report.whole.image_auroc is None


def test_types_count_the_pictures_that_could_be_read(tmp_path: Path) -> None:
    made = samples(tmp_path, [(GOOD, 0), ("dent", 1), ("dent", 2), ("spot", 3)])
    made[3].image.write_bytes(b"GIF89a")
    made[1].image.write_bytes(b"GIF89a")
    report = evaluate(Brightness(), made)
    assert {kind: found.n_anomalous for kind, found in report.types.items()} == {"dent": 1}


class Kept:
    def __init__(self) -> None:
        self.found: list[tuple[Sample | None, Decided | Unreadable]] = []

    def add(self, found: Decided | Unreadable, sample: Sample | None = None) -> None:
        self.found.append((sample, found))


def test_every_result_goes_to_every_sink(tmp_path: Path) -> None:
    made = samples(tmp_path, [(GOOD, 0), ("dent", 1), ("spot", 2)])
    made[1].image.write_bytes(b"GIF89a")
    sinks = Kept(), Kept()
    evaluate(Brightness(), made, sinks=sinks)
    for sink in sinks:
        assert [(sample, type(found)) for sample, found in sink.found] == list(
            zip(made, (Decided, Unreadable, Decided), strict=True)
        )


def test_maps_that_wait_on_disk_give_the_same_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = samples(tmp_path, [(GOOD, 0), (GOOD, 1), ("dent", 1), ("spot", 2), ("spot", 3)])
    kept = evaluate(Brightness(), made)
    monkeypatch.setattr(kept_maps, "IN_MEMORY", 0)
    spilled = evaluate(Brightness(), made)
    assert spilled.types == kept.types


def test_brightness_is_what_the_definitions_assume() -> None:
    images = torch.from_numpy(pixels(1, "dent").astype(np.float32) / 255).expand(1, 3, SIDE, SIDE)
    found = Brightness()(images)
    assert found.image_score.item() == pytest.approx(pixels(1, "dent").max() / 255)
    np.testing.assert_allclose(found.anomaly_map[0], pixels(1, "dent") / 255, atol=1e-6)
