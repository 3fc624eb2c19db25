"""Sets of types hold the right one as often as stated."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from blemish.calibration.prediction_sets import calibrate_several, calibrate_sureness, scale_of, softmax, temperature_of
from blemish.errors import BadInput


def drawn(count: int, seed: int, types: int = 5) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, types, count)
    logits = generator.normal(size=(count, types))
    logits[np.arange(count), truth] += generator.normal(1.5, 1.0, count)
    return logits, truth


@pytest.mark.parametrize("coverage", [0.8, 0.95])
def test_sets_and_known_types_keep_the_stated_coverage_over_200_splits(coverage: float) -> None:
    covered, known = [], []
    for seed in range(200):
        logits, truth = drawn(240, seed)
        sure = calibrate_sureness(logits[:40], truth[:40], coverage)
        probability = sure.probabilities(logits[40:])
        covered.append((probability[np.arange(200), truth[40:]] >= 1 - sure.rest).mean())
        known.append((logits[40:].max(1) >= sure.least).mean())
    error = 3 * np.std(covered) / math.sqrt(200)
    assert coverage - error <= np.mean(covered) <= coverage + 1 / 41 + error
    assert coverage - error <= np.mean(known) <= coverage + 1 / 41 + error


def test_too_few_examples_leave_all_types_possible_and_nothing_unknown() -> None:
    logits, truth = drawn(5, 0)
    sure = calibrate_sureness(logits, truth, 0.9)
    assert (sure.rest, sure.least) == (1.0, -math.inf)
    assert sure.as_json()["least"] is None


def test_the_temperature_makes_probabilities_as_often_right_as_they_say() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(20000, 4))
    probability = softmax(logits)
    truth = (probability.cumsum(1) > generator.random((20000, 1))).argmax(1)
    assert temperature_of(logits * 5, truth) == pytest.approx(5, rel=0.1)


def test_a_coverage_that_is_none_is_refused() -> None:
    with pytest.raises(BadInput, match="coverage=1"):
        calibrate_sureness([[0.0, 1.0]], [1], 1)


def test_sets_hold_all_of_several_types_as_often_as_stated() -> None:
    covered = []
    for seed in range(200):
        generator = np.random.default_rng(seed)
        truth = generator.random((240, 4)) < 0.4
        logits = generator.normal(size=(240, 4)) + 1.5 * truth
        sure = calibrate_several(logits[:60], truth[:60], 0.8)
        new = truth[60:].any(1)
        held = (sure.probabilities(logits[60:]) >= 1 - sure.rest) | ~truth[60:]
        covered.append(np.all(held, 1)[new].mean())
    error = 3 * np.std(covered) / math.sqrt(200)
    assert 0.8 - error <= np.mean(covered) <= 0.8 + 1 / 40 + error


def test_the_probability_of_each_of_several_types_is_as_often_right_as_it_says() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(3, 2, size=(20000, 3))
    truth = generator.random(logits.shape) < 1 / (1 + np.exp(-(logits - 2.5) / 0.7))
    assert scale_of(logits, truth) == pytest.approx((0.7, 2.5), rel=0.05)
    apart = scale_of(np.array([[0.0], [1.0]]), np.array([[False], [True]]))
    assert np.isfinite(apart).all()
    assert calibrate_several(np.zeros((0, 3)), np.zeros((0, 3), bool)).as_json()["middle"] == 0


@pytest.mark.parametrize("count", [1, 4, 30])
def test_no_probability_exceeds_what_so_many_examples_can_show(count: int) -> None:
    most = (count + 1) / (count + 2)
    apart = np.eye(3)[np.arange(count) % 3] * 50
    one = calibrate_sureness(apart, np.arange(count) % 3).probabilities([[1000.0, 0, 0]])
    assert one.max() == pytest.approx(most)
    assert one.sum() == pytest.approx(1)
    several = calibrate_several(apart, apart > 0).probabilities([[1000.0, -1000.0, 25.0]])
    assert several.max() <= most + 1e-9
    assert several.min() >= 1 - most - 1e-9


def test_with_no_example_held_out_the_likeliest_type_stays_so() -> None:
    none = calibrate_sureness(np.zeros((0, 2)), np.zeros(0, int)).probabilities([[1.0, 9.0]])
    assert none[0].argmax() == 1
    assert none.max() <= 2 / 3
