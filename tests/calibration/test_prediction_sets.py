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
        sets = sure.sets(sure.chances(logits[40:]))
        covered.append(sets[np.arange(200), truth[40:]].mean())
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
        held = sure.sets(sure.chances(logits[60:])) | ~truth[60:]
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


def test_no_probability_exceeds_what_so_many_examples_of_its_type_can_show() -> None:
    most = [2 / 3, 5 / 6, 31 / 32]
    truth = np.repeat(np.arange(3), [1, 4, 30])
    apart = np.eye(3)[truth] * 50
    found = calibrate_sureness(apart, truth).probabilities(1000 * np.eye(3))
    assert found.argmax(1).tolist() == [0, 1, 2]
    assert found.max(1) == pytest.approx(most)
    assert found.sum(1) == pytest.approx(1)
    several = calibrate_several(apart, apart > 0).probabilities([[1000.0] * 3, [-1000.0] * 3])
    assert several[0] == pytest.approx(most)
    assert several[1] == pytest.approx(1 - np.array(most))
    alone = calibrate_sureness(apart[1:], truth[1:], shown=[1, 4, 30]).most  # the only one cannot be held out
    assert alone == pytest.approx(most)


def test_as_sure_as_examples_allow_is_as_often_right_as_it_says() -> None:
    """Of types that overlap so little that the bound decides, some more than it says are right, and none fewer."""
    claimed, right = list[float](), list[bool]()
    for seed in range(300):
        generator = np.random.default_rng(seed)
        shown, new = np.repeat(np.arange(3), 4), generator.integers(0, 3, 20)
        logits = [6 * np.eye(3)[each] + 1.2 * generator.normal(size=(len(each), 3)) for each in (shown, new)]
        probability = calibrate_sureness(logits[0], shown).probabilities(logits[1])
        claimed += probability.max(1).tolist()
        right += (probability.argmax(1) == new).tolist()
    assert 0.75 < np.mean(claimed) <= 5 / 6
    assert np.mean(claimed) < np.mean(right)


def test_a_type_of_few_examples_is_in_its_own_set_though_nobody_can_be_sure_of_it() -> None:
    truth = np.repeat([0, 1], [99, 1])
    sure = calibrate_sureness(20.0 * np.eye(2)[truth], truth)
    chances = sure.chances([[0.0, 20.0]])
    assert sure.limit(chances)[0] == pytest.approx([1 / 3, 2 / 3])
    assert sure.sets(chances).tolist() == [[False, True]]


def test_with_no_example_held_out_the_likeliest_type_stays_so() -> None:
    none = calibrate_sureness(np.zeros((0, 2)), np.zeros(0, int)).probabilities([[1.0, 9.0]])
    assert none[0].argmax() == 1
    assert none.max() <= 2 / 3
