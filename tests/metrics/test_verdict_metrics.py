from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from blemish.errors import BadInput
from blemish.metrics.binomial import rate
from blemish.metrics.verdicts import (
    UNKNOWN,
    curve,
    escape_at_overkill,
    overkill_at_escape,
    review_load,
    size_classes,
    verdicts,
)


def test_the_table_counts_every_part_once() -> None:
    scores = [0.1, 0.4, 0.5, 0.9, 0.2, 0.6]
    kinds = ["good", "good", "good", "good", "dent", "scratch"]
    found = verdicts(scores, kinds, accept=0.4, reject=0.6)
    assert list(found) == ["good", "dent", "scratch"]
    assert [each.cases for each in found["good"]] == [1, 2, 1]
    assert [each.cases for each in found["dent"]] == [1, 0, 0]
    assert [each.cases for each in found["scratch"]] == [0, 0, 1]
    assert found["good"].reviewed == rate(2, 4)
    assert review_load(scores, accept=0.4, reject=0.6) == rate(2, 6)


def test_shuffled_labels_change_no_verdict() -> None:
    """Only the rows of the table move: how many parts are accepted, reviewed and rejected stays."""
    rng = np.random.default_rng(0)
    scores, kinds = rng.random(60), [str(kind) for kind in rng.choice(["good", "dent"], 60)]
    totals = []
    for _ in range(3):
        found = verdicts(scores, kinds, accept=0.3, reject=0.7)
        totals.append([sum(each[column].cases for each in found.values()) for column in range(3)])
        rng.shuffle(kinds)
    assert totals[0] == totals[1] == totals[2]


def test_the_value_is_the_empirical_one() -> None:
    scores, labels = [1, 2, 3, 4, 2, 3, 4, 5], [0, 0, 0, 0, 1, 1, 1, 1]
    assert overkill_at_escape(scores, labels, 0.01).value == 0.75  # from 2 on
    assert overkill_at_escape(scores, labels, 0.25).value == 0.5
    assert overkill_at_escape(scores, labels, 0.99).value == 0
    assert escape_at_overkill(scores, labels, 0.01).value == 0.75  # above 4
    assert escape_at_overkill(scores, labels, 0.5).value == 0.25


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_the_interval_covers_the_true_rate(share: float) -> None:
    rng = np.random.default_rng(1)
    labels = np.arange(200) % 2 == 0
    overkill, escape = norm.sf(2 + norm.ppf(share)), norm.cdf(norm.isf(share) - 2)
    covered, widths = np.zeros(2), []
    for _ in range(400):
        scores = rng.normal(size=200) + 2 * labels
        found = overkill_at_escape(scores, labels, share), escape_at_overkill(scores, labels, share)
        covered += [found[0].low <= overkill <= found[0].high, found[1].low <= escape <= found[1].high]
        widths.append(found[0].high - found[0].low)
    assert covered.min() / 400 >= 0.95
    assert np.mean(widths) < 0.7


def test_without_a_class_nothing_is_known() -> None:
    found = overkill_at_escape([1.0, 2.0], [True, True], 0.1)
    assert math.isnan(found.value)
    assert found[1:] == (0, 1)
    with pytest.raises(BadInput, match="good and defective"):
        curve([1.0], [True])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=20))
def test_the_curve_has_both_errors_with_their_intervals(parts: list[tuple[int, bool]]) -> None:
    scores, labels = np.array([score for score, _ in parts]), np.array([bad for _, bad in parts])
    if labels.all() or not labels.any():
        return
    found = curve(scores, labels)
    for row, threshold in enumerate(found.threshold):
        escape = rate(int((scores[labels] < threshold).sum()), int(labels.sum()))
        overkill = rate(int((scores[~labels] >= threshold).sum()), int((~labels).sum()))
        assert (found.escape[row], found.escape_low[row], found.escape_high[row]) == pytest.approx(
            (escape.value, escape.low, escape.high)
        )
        assert (found.overkill[row], found.overkill_low[row], found.overkill_high[row]) == pytest.approx(
            (overkill.value, overkill.low, overkill.high)
        )
    assert (found.escape[0], found.overkill[-1]) == (0, 0)
    assert (found.escape[-1], found.overkill[0]) == (1, 1)


def test_size_classes_hold_as_many_each_or_lie_between_given_edges() -> None:
    areas = [1.0, 2.0, 3.0, 40.0, 50.0, 60.0, math.nan]
    names = size_classes(areas)
    assert names == ["up to 2 px", "up to 2 px", "2 to 40 px", "2 to 40 px", "over 40 px", "over 40 px", UNKNOWN]
    assert size_classes(areas, [3.0])[2:4] == ["up to 3 px", "over 3 px"]
    assert size_classes([5.0, 5.0]) == ["up to 5 px"] * 2
    assert size_classes([math.nan]) == [UNKNOWN]
    assert size_classes([7.0], []) == ["any size"]


def test_scores_and_kinds_must_fit() -> None:
    with pytest.raises(BadInput, match="same length"):
        verdicts([1.0], ["good", "dent"], accept=0, reject=1)
    with pytest.raises(BadInput, match="not a rate"):
        overkill_at_escape([1.0, 2.0], [True, False], 0.0)
