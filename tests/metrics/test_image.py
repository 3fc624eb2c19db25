from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from blemish.errors import BadInput
from blemish.metrics import image

METRICS = [image.auroc, image.average_precision, image.f1_max]

Scored = tuple[NDArray[np.float64], NDArray[np.bool_]]


def tied(seed: int, *, levels: int = 7, count: int = 80) -> Scored:
    rng = np.random.default_rng(seed)
    labels = rng.random(count) < 0.3
    labels[:2] = True, False
    return np.floor(rng.random(count) * levels + labels), labels


def best_f1(scores: NDArray[np.float64], labels: NDArray[np.bool_]) -> float:
    found = [((scores >= t) & labels).sum() * 2 / ((scores >= t).sum() + labels.sum()) for t in scores]
    return float(max(found))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("levels", [2, 7, 10**6])
def test_metrics_agree_with_scikit_learn_and_a_plain_definition(seed: int, levels: int) -> None:
    scores, labels = tied(seed, levels=levels)
    assert image.auroc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert image.average_precision(scores, labels) == pytest.approx(average_precision_score(labels, scores), abs=1e-12)
    precision, recall, _ = precision_recall_curve(labels, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    assert image.f1_max(scores, labels) == pytest.approx(f1.max(), abs=1e-12)
    assert image.f1_max(scores, labels) == pytest.approx(best_f1(scores, labels), abs=1e-12)


def test_the_threshold_reaches_the_greatest_f1_and_is_the_highest_that_does() -> None:
    scores, labels = np.array([5.0, 4.0, 3.0, 2.0, 1.0]), np.array([True, False, True, True, False])
    assert image.f1_threshold(scores, labels) == 2.0
    assert image.f1_threshold(np.array([4.0, 3.0, 2.0, 1.0]), np.array([True, False, False, True])) == 4.0


@given(st.lists(st.tuples(st.integers(-8, 8), st.booleans()), min_size=1, max_size=40))
def test_an_increasing_transform_changes_nothing(pairs: list[tuple[int, bool]]) -> None:
    scores, labels = np.array([s for s, _ in pairs], dtype=float), np.array([y for _, y in pairs])
    for metric in METRICS:
        np.testing.assert_equal(metric(scores, labels), metric(np.exp(scores / 4) * 100 - 7, labels))


@pytest.mark.parametrize("metric", [*METRICS, image.f1_threshold])
@pytest.mark.parametrize("labels", [[True, True], [False, False], []])
def test_a_missing_class_is_nan(metric: object, labels: list[bool]) -> None:
    assert callable(metric)
    assert math.isnan(metric(np.arange(len(labels), dtype=float), np.array(labels, dtype=bool)))


def test_a_perfect_and_a_reversed_ranking_are_one_and_zero() -> None:
    labels = np.array([False, False, True, True])
    assert [metric(np.arange(4.0), labels) for metric in METRICS] == [1.0, 1.0, 1.0]
    assert image.auroc(-np.arange(4.0), labels) == 0.0


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([0.0, np.nan], [True, False], "score 1 is nan"),
        ([np.inf, 0.0], [True, False], "score 0 is inf"),
        ([0.0, 1.0, 2.0], [True, False], "same length"),
        ([0.0, 1.0], [0, 2], "booleans"),
    ],
)
def test_what_cannot_be_ranked_is_refused(scores: list[float], labels: list[int], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        image.auroc(scores, labels)
