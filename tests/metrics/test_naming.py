"""How well defects are named, counted by hand."""

from __future__ import annotations

import json

import pytest
from sklearn.metrics import top_k_accuracy_score

from blemish.metrics import classes
from blemish.metrics.binomial import rate
from blemish.metrics.naming import score_names, score_several

TYPES = ("crack", "dent", "hole")
LABELS = ["crack", "crack", "crack", "dent", "other", "dent"]
SCORES = [[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.1, 0.9, 0.0], [0.3, 0.35, 0.3], [0.9, 0.05, 0.0]]


def test_names_are_counted_over_defects_of_the_types_that_are_told_apart() -> None:
    found = score_names(LABELS, SCORES, TYPES)
    assert found is not None
    assert found.defects == 5
    assert found.accuracy.value == pytest.approx(3 / 5)
    assert found.balanced_accuracy.value == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert found.macro_f1.value == pytest.approx((2 * 2 / (3 + 3) + 2 * 1 / (2 + 2)) / 2)
    assert found.top_2_accuracy is not None
    assert found.top_2_accuracy.value == top_k_accuracy_score(
        [0, 0, 0, 1, 1], [*SCORES[:4], SCORES[5]], k=2, labels=range(3)
    )
    assert score_names(LABELS, [each[:2] for each in SCORES], TYPES[:2]).top_2_accuracy is None  # type: ignore[union-attr]
    assert found.found_and_named is None
    assert found.joint_macro_f1 is None
    assert found.names == ("crack", "dent")
    assert found.confusion == ((2, 1), (1, 1))


def test_a_type_that_is_only_said_counts_as_never_right() -> None:
    found = score_names(["crack", "crack"], [[0.9, 0.0, 0.1], [0.0, 0.1, 0.9]], TYPES)
    assert found is not None
    assert found.macro_f1.value == pytest.approx((2 / 3 + 0) / 2)


def test_found_and_named_needs_both() -> None:
    found = score_names(LABELS, SCORES, TYPES, [True, False, True, True, True, True])
    assert found is not None
    assert found.found_and_named is not None
    assert found.found_and_named.value == pytest.approx(2 / 5)
    assert found.joint_macro_f1 is None


def test_verdict_and_type_are_judged_together_where_there_are_good_parts() -> None:
    """Good parts: one is accepted, one is called a hole. A crack is accepted. Another defect's type does not count."""
    labels, scores = [*LABELS, "good", "good"], [*SCORES, [0.9, 0.0, 0.0], [0.0, 0.0, 0.9]]
    found = score_names(labels, scores, TYPES, [True, False, True, True, True, True, False, True])
    alone = score_names(LABELS, SCORES, TYPES)
    assert found is not None
    assert alone is not None
    assert found.joint_macro_f1 is not None
    assert found.names == ("crack", "dent", "hole", "good")
    assert found.confusion == ((1, 1, 0, 1), (1, 1, 0, 0), (0, 0, 0, 0), (0, 0, 1, 1))
    assert found.mistakes()[0] == ("crack", "dent", 1)
    assert len(found.mistakes()) == 4
    assert found.joint_macro_f1.value == pytest.approx((2 / (3 + 2) + 2 / (2 + 2) + 0 + 2 / (2 + 2)) / 4)
    assert (found.accuracy, found.macro_f1, found.unknown_auroc) == (
        alone.accuracy,
        alone.macro_f1,
        alone.unknown_auroc,
    )


def test_good_parts_count_only_where_there_is_a_verdict() -> None:
    with_good = score_names([*LABELS, "good"], [*SCORES, [0.9, 0.0, 0.0]], TYPES)
    assert with_good == score_names(LABELS, SCORES, TYPES)
    assert score_names(["good"], [[0.1, 0.2, 0.3]], TYPES, [True]) is None


def test_unknown_types_are_told_by_how_little_the_likeliest_is_sure() -> None:
    found = score_names(LABELS, SCORES, TYPES)
    assert found is not None
    assert found.unknown_auroc == (1.0, 1.0, 1.0)
    known = score_names(LABELS[:4], SCORES[:4], TYPES)
    assert known is not None
    assert known.unknown_auroc is None


def test_intervals_hold_their_values_and_shares_have_exact_ones() -> None:
    found = score_names(LABELS * 10, SCORES * 10, TYPES, [True] * 60)
    assert found is not None
    assert (found.accuracy.low, found.accuracy.high) == rate(30, 50)[2:]
    for each in (found.balanced_accuracy, found.macro_f1):
        assert 0 < each.low < each.value < each.high < 1
    assert set(json.loads(json.dumps(found.as_json()))["macro_f1"]) == {"value", "low", "high"}


def test_without_a_defect_of_the_types_there_is_nothing_to_count() -> None:
    assert score_names(["other"], [[0.1, 0.2, 0.3]], TYPES) is None
    assert score_names([], [], TYPES) is None
    assert score_names([], [], ()) is None


def test_several_types_are_counted_over_pictures_whose_types_are_told_apart() -> None:
    truth = [[True, False], [True, True], [False, True], [False, False]]
    scores = [[0.9, 0.6], [0.8, 0.3], [0.2, 0.7], [0.0, 0.1]]
    found = score_several(truth, scores, [[each >= 0.5 for each in row] for row in scores], ["a", "b"], [0, 0, 0, 1])
    assert found is not None
    assert found.defects == 3
    assert found.accuracy.value == pytest.approx(1 / 3)
    assert found.balanced_accuracy.value == pytest.approx((1 + 1 / 2) / 2)
    assert found.micro_f1.value == pytest.approx(2 * 3 / (4 + 4))
    assert found.macro_f1.value == pytest.approx((1 + 1 / 2) / 2)
    assert found.mean_average_precision.value == pytest.approx((1 + (1 + 2 / 3) / 2) / 2)
    assert found.types["b"] == pytest.approx(((1 + 2 / 3) / 2, 1 / 2, 1 / 2, 1 / 2, 2))
    assert found.unknown_auroc == (1, 1, 1)
    assert set(json.loads(json.dumps(found.as_json()))["micro_f1"]) == {"value", "low", "high"}
    assert score_several(truth, scores, truth, ["a", "b"], [True] * 4) is None


def test_an_error_of_grades_weighs_the_square_of_its_steps() -> None:
    labels, scores = ["crack", "dent", "hole", "hole"], [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]]
    for grades in (("crack", "dent", "hole"), ("dent", "crack", "hole")):
        found = score_names(labels, scores, TYPES, grades=grades)
        assert found is not None
        assert found.quadratic_kappa is not None
        steps = [grades.index(each) for each in labels]
        said = [grades.index(each) for each in ("crack", "dent", "hole", "crack")]
        assert found.quadratic_kappa.value == pytest.approx(classes.quadratic_kappa(steps, said))
