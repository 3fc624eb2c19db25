"""How well defects are named, counted by hand."""

from __future__ import annotations

import pytest

from blemish.metrics.naming import score_names

TYPES = ("crack", "dent", "hole")
LABELS = ["crack", "crack", "crack", "dent", "other", "dent"]
SCORES = [[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.1, 0.9, 0.0], [0.3, 0.35, 0.3], [0.9, 0.05, 0.0]]


def test_names_are_counted_over_defects_of_the_types_that_are_told_apart() -> None:
    found = score_names(LABELS, SCORES, TYPES)
    assert found is not None
    assert found.defects == 5
    assert found.accuracy == pytest.approx(3 / 5)
    assert found.balanced_accuracy == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert found.macro_f1 == pytest.approx((2 * 2 / (3 + 3) + 2 * 1 / (2 + 2)) / 2)
    assert found.found_and_named is None


def test_a_type_that_is_only_said_counts_as_never_right() -> None:
    found = score_names(["crack", "crack"], [[0.9, 0.0, 0.1], [0.0, 0.1, 0.9]], TYPES)
    assert found is not None
    assert found.macro_f1 == pytest.approx((2 / 3 + 0) / 2)


def test_found_and_named_needs_both() -> None:
    found = score_names(LABELS, SCORES, TYPES, [True, False, True, True, True, True])
    assert found is not None
    assert found.found_and_named == pytest.approx(2 / 5)


def test_unknown_types_are_told_by_how_little_the_likeliest_is_sure() -> None:
    found = score_names(LABELS, SCORES, TYPES)
    assert found is not None
    assert found.unknown_auroc == 1.0
    (known,) = [score_names(LABELS[:4], SCORES[:4], TYPES)]
    assert known is not None
    assert known.unknown_auroc is None


def test_without_a_defect_of_the_types_there_is_nothing_to_count() -> None:
    assert score_names(["other"], [[0.1, 0.2, 0.3]], TYPES) is None
    assert score_names([], [], TYPES) is None
