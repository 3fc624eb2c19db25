from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import beta, kstest

from blemish.calibration.thresholds import (
    STRICTEST,
    Calibration,
    Goal,
    calibrate_thresholds,
    cross_bound,
    lower_threshold,
    upper_threshold,
    with_goal,
    with_thresholds,
)
from blemish.errors import BadInput, BadRecipe

Scores = NDArray[np.float64]


def drawn(seed: int, *, good: int = 60, defects: int = 50, shift: float = 3.0) -> tuple[list[float], list[float]]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=good).tolist(), rng.normal(shift, 1, size=defects).tolist()


def shown(seed: int = 0, *, goal: Goal = STRICTEST, scheme: Any = "split", **more: Any) -> Calibration:
    good, defects = drawn(seed, **more)
    return calibrate_thresholds(good, scheme=scheme, defects={"scratch": defects}, peaks=good, goal=goal)


def test_false_rejects_follow_the_exact_law_of_order_statistics() -> None:
    """The rate at which good parts reach the threshold, whatever k the goal allows: Beta(k, n + 1 - k)."""
    rng = np.random.default_rng(1)
    for parts, target, k in ((30, None, 1), (100, 0.1, 5)):
        rates = []
        for _ in range(1500):
            scores = rng.random(parts)
            rates.append(1 - calibrate_thresholds(scores.tolist(), scheme="split", goal=Goal(target)).reject)
        assert kstest(rates, beta(k, parts + 1 - k).cdf).pvalue > 0.001
        assert np.mean(rates) == pytest.approx(k / (parts + 1), rel=0.1)


def test_escapes_follow_it_too() -> None:
    rng = np.random.default_rng(2)
    rates = [
        calibrate_thresholds(
            [2.0], scheme="split", defects={"": rng.random(100).tolist()}, goal=Goal(escape=0.1)
        ).accept
        for _ in range(1500)
    ]
    assert kstest(rates, beta(5, 96).cdf).pvalue > 0.001


def test_the_target_is_kept_with_the_confidence_and_not_much_more_often() -> None:
    rng = np.random.default_rng(3)
    kept = 0
    for _ in range(1500):
        scores = rng.exponential(size=150)
        kept += (
            math.exp(-calibrate_thresholds(scores.tolist(), scheme="split", goal=Goal(0.05, confidence=0.9)).reject)
            <= 0.05
        )
    assert 0.9 <= kept / 1500 < 0.97  # k is a whole number, so it is not exactly 0.9


def test_ties_only_make_it_safer() -> None:
    rng = np.random.default_rng(4)
    rates = []
    for _ in range(1000):
        scores = rng.integers(0, 6, 40)
        rates.append(np.mean(np.arange(6) >= upper_threshold(scores.tolist(), 3)))
    assert np.mean(rates) <= 3 / 41
    assert np.mean(np.array(rates) <= beta(3, 38).ppf(0.95)) >= 0.95


def nearest(query: Scores, bank: Scores) -> Scores:
    found: Scores = np.abs(query[:, None] - bank).min(1)
    return found


def test_cross_keeps_its_bound_on_average() -> None:
    """A memory of points: its score, the distance to the nearest, never rises by remembering more."""
    rng = np.random.default_rng(5)
    for fold in (1, 4):
        rates = []
        for _ in range(400):
            parts, later = rng.standard_cauchy(24), rng.standard_cauchy(400)
            left = np.array_split(np.arange(24), 24 // fold)
            held = np.concatenate([nearest(parts[out], np.delete(parts, out)) for out in left])
            reject = calibrate_thresholds(held.tolist(), scheme="cross", fold=fold, goal=Goal(0.4)).reject
            rates.append(np.mean(nearest(later, parts) >= reject))
        assert np.mean(rates) <= 0.4


def test_the_bound_of_cross_counts_the_tournament() -> None:
    assert cross_bound(1, 60, 1) == pytest.approx(1 / 61)
    assert cross_bound(3, 60, 1) == pytest.approx(5 / 61)
    assert cross_bound(1, 60, 6) == pytest.approx(6 / 66)
    barber = 2 * 3 / 61 + (1 - 10 / 60) / 11  # 2 alpha + (1 - K/n) / (K + 1), for 10 folds of 6
    assert cross_bound(3, 60, 6) <= barber


def test_the_tournament_cannot_be_won_by_more_parts_than_that() -> None:
    """Any tournament in which ties and parts of one fold score for nobody: how many lose at most k - 1 times."""
    rng = np.random.default_rng(6)
    for _ in range(300):
        fold, k = int(rng.integers(1, 4)), int(rng.integers(1, 4))
        folds = np.repeat(np.arange(rng.integers(2, 5)), fold)
        order = rng.permutation(len(folds))
        wins = order[:, None] > order  # a transitive one, with some results turned
        turned = np.triu(rng.random(wins.shape) < rng.choice([0.0, 0.3]), 1)
        wins = np.where(turned | turned.T, ~wins, wins) & (folds[:, None] != folds)
        others = len(folds) - fold
        strange = int((wins.sum(1) >= others - (k - 1)).sum())
        assert strange <= 2 * (k - 1) + fold


def test_too_few_parts_reject_and_accept_nothing() -> None:
    found = shown(goal=Goal(0.01, 0.01))
    assert (found.accept, found.reject) == (-math.inf, math.inf)
    assert {found.verdict(score) for score in (-1e9, 0.0, 1e9)} == {"review"}


@pytest.mark.parametrize(("parts", "reject"), [(298, math.inf), (299, 298.0)])
def test_299_good_parts_show_one_percent(parts: int, reject: float) -> None:
    found = calibrate_thresholds(np.arange(parts).tolist(), scheme="split", goal=Goal(0.01)).reject
    assert found == (reject if reject == math.inf else math.nextafter(reject, math.inf))


def test_99_good_parts_left_out_one_by_one_show_one_percent_on_average() -> None:
    assert calibrate_thresholds([0.0] * 98, scheme="cross", goal=Goal(0.01)).reject == math.inf
    assert calibrate_thresholds([0.0] * 99, scheme="cross", goal=Goal(0.01)).reject < 1e-9


def test_without_defects_one_threshold_decides_or_what_is_above_all_good_parts_is_for_review() -> None:
    good, _ = drawn(0)
    both = calibrate_thresholds(good, scheme="split")
    assert both.accept == both.reject == math.nextafter(max(good), math.inf)
    neither = calibrate_thresholds(good, scheme="split", goal=Goal(0.01))
    assert neither.verdict(max(good)) == "accept"
    assert neither.verdict(max(good) + 1e-6) == "review"


def test_between_the_thresholds_is_review() -> None:
    found = shown(goal=Goal(0.05, 0.1))
    assert found.accept < found.reject
    assert found.verdict(math.nextafter(found.accept, -math.inf)) == "accept"
    assert found.verdict(found.accept) == "review"
    assert found.verdict(found.reject) == "reject"
    assert found.verdict(math.nan) == "review"


def test_targets_that_cross_leave_one_threshold_midway() -> None:
    good, defects = [0.0] * 100, [8.0] * 100
    found = calibrate_thresholds(good, scheme="split", defects={"dent": defects}, goal=Goal(0.1, 0.1))
    assert found.accept == found.reject == pytest.approx(4)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=12),
    st.lists(st.integers(0, 9), min_size=1, max_size=12),
    st.floats(0.1, 10),
)
def test_a_cost_ratio_finds_the_cheapest_threshold(good: list[int], defects: list[int], ratio: float) -> None:
    found = calibrate_thresholds(good, scheme="split", defects={"dent": defects}, goal=Goal(cost_ratio=ratio))
    assert found.accept == found.reject

    def cost(threshold: float) -> float:
        escapes, rejects = np.array(defects) < threshold, np.array(good) >= threshold
        return float(ratio * np.mean(escapes) + np.mean(rejects))

    assert cost(found.accept) == pytest.approx(min(cost(t) for t in np.arange(-0.5, 11)))


def test_thresholds_are_changed_without_the_model() -> None:
    goal = Goal(0.1, 0.2, 0.8)
    assert with_goal(shown(goal=Goal(0.05, 0.1)), goal) == shown(goal=goal)
    assert with_goal(with_goal(shown(), goal), STRICTEST) == shown()


def test_thresholds_can_be_set_by_hand_in_their_order() -> None:
    assert with_thresholds(shown(), accept=1.0, reject=2.0).verdict(1.5) == "review"
    with pytest.raises(BadInput, match="must not be above"):
        with_thresholds(shown(), accept=2.0, reject=1.0)
    with pytest.raises(BadInput, match="must not be above"):
        with_thresholds(shown(), accept=math.nan, reject=1.0)


def test_the_pixel_threshold_is_that_of_the_peaks() -> None:
    peaks = np.arange(100).tolist()
    found = calibrate_thresholds([0.0] * 100, scheme="split", peaks=peaks, goal=Goal(pixel=0.1))
    assert found.pixel == upper_threshold(peaks, 5)
    assert calibrate_thresholds([0.0] * 100, scheme="split", peaks=peaks).pixel == upper_threshold(peaks, 1)
    assert calibrate_thresholds([0.0] * 100, scheme="split").pixel is None


def test_order_statistics_of_nothing_are_infinite() -> None:
    assert upper_threshold([], 1) == upper_threshold([1.0], 0) == upper_threshold([1.0], 2) == math.inf
    assert lower_threshold([], 0) == lower_threshold([1.0], -1) == lower_threshold([1.0], 1) == -math.inf


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"good": []}, "needs good parts"),
        ({"good": [math.nan]}, "not finite"),
        ({"defects": {"dent": [math.inf]}}, "not finite"),
        ({"peaks": [1.0]}, "one peak a part"),
        ({"defects": {"dent": [1.0]}, "sizes": {"dent": [1.0, 2.0]}}, "one size a defect"),
        ({"goal": Goal(0.0)}, "not a rate"),
        ({"goal": Goal(1.0)}, "not a rate"),
        ({"goal": Goal(confidence=1.0)}, "not a confidence"),
        ({"goal": Goal(escape=0.1)}, "needs defective parts"),
        ({"goal": Goal(cost_ratio=1.0)}, "needs defective parts"),
        ({"goal": Goal(cost_ratio=-1.0), "defects": {"dent": [1.0]}}, "positive"),
        ({"goal": Goal(0.1, cost_ratio=1.0), "defects": {"dent": [1.0]}}, "decides the threshold alone"),
    ],
)
def test_what_cannot_be_used_is_refused(arguments: dict[str, Any], words: str) -> None:
    good = arguments.pop("good", [1.0, 2.0])
    with pytest.raises(BadInput, match=words):
        calibrate_thresholds(good, scheme="split", **arguments)


finite = st.floats(allow_nan=False, allow_infinity=False, width=32)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(finite, min_size=1, max_size=5),
    st.dictionaries(st.text(min_size=1, max_size=3), st.lists(finite, min_size=1, max_size=3), max_size=3),
    st.sampled_from([STRICTEST, Goal(0.01), Goal(0.5, confidence=0.5, pixel=0.3)]),
    st.sampled_from(["split", "cross"]),
)
def test_json_brings_back_every_bit(
    good: list[float], defects: dict[str, list[float]], goal: Goal, scheme: Any
) -> None:
    sizes = {name: [math.nan, *range(1, len(scores))] for name, scores in defects.items()}
    found = calibrate_thresholds(good, scheme=scheme, defects=defects, sizes=sizes, peaks=good, goal=goal)
    text = json.dumps(found.as_json(), allow_nan=False)
    assert Calibration.from_json(json.loads(text)) == found


def damage(**values: Any) -> dict[str, Any]:
    return {**shown().as_json(), **values}


@pytest.mark.parametrize(
    "values",
    [
        None,
        [],
        {},
        {1: 2},
        damage(more=1),
        {name: value for name, value in damage().items() if name != "fold"},
        damage(good=None),
        damage(good=[True]),
        damage(good=["1"]),
        damage(good=[1e999]),
        damage(good=[math.nan]),
        damage(good=[10**400]),
        damage(good=[None]),
        damage(scheme="both"),
        damage(scheme=["split"]),
        damage(defects=[]),
        damage(defects={"": [1.0]}, sizes={"": [1.0]}),
        damage(defects={"dent": [1.0]}),
        damage(defects={"dent": [1.0]}, sizes={"dent": []}),
        damage(defects={"dent": [1.0]}, sizes={"dent": [-1.0]}),
        damage(peaks=[1.0]),
        damage(accept="nan"),
        damage(accept="infinity"),
        damage(accept=math.nan),
        damage(accept=2.0, reject=1.0),
        damage(accept="inf"),
        damage(reject=None),
        damage(pixel="all"),
        damage(fold=0),
        damage(fold=1.0),
        damage(fold=True),
        damage(goal=[]),
        damage(goal={"escape": [0.1]}),
        damage(goal={"escape": 1.5}),
        damage(goal={"confidence": None}),
        damage(goal={"cost_ratio": -1}),
        damage(goal={"cost_ratio": "1"}),
    ],
)
def test_a_damaged_calibration_is_refused(values: Any) -> None:
    with pytest.raises(BadRecipe, match="calibrate it again"):
        Calibration.from_json(values)
