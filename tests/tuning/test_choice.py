"""What a candidate is worth, and which one is chosen."""

from __future__ import annotations

from typing import Any

import pytest

from blemish.metrics.intervals import Estimate
from blemish.tuning.choice import REAL, Judged, best, gain, judge, rank, unseen, worth
from blemish.types import GOOD


def judged(image: float, pixel: float | None = 0.5, seconds: float = 0.1, **each: float) -> Judged:
    return Judged(Estimate(image, image - 0.1, image + 0.1), pixel, each, seconds, 10)


def outcome(good: list[float], pixel: dict[str, float | None] | None = None, **flaws: list[float]) -> dict[str, Any]:
    lines = [(GOOD, score) for score in good] + [(name, score) for name, each in flaws.items() for score in each]
    return {
        "scores": lines, "pixel_ap": pixel or dict.fromkeys(flaws, 0.5), "seconds_per_image": 0.2,
    }  # fmt: skip


def test_a_candidate_is_worth_what_it_does_without_the_generator_that_likes_it_best() -> None:
    assert worth({"a": 1.0, "b": 0.6, "c": 0.8}, 0) == pytest.approx(0.7)
    assert worth({"a": 0.9}, 0) == 0.9


def test_real_defects_weigh_more_than_all_drawn_flaws_and_more_the_more_there_are() -> None:
    each = {"a": 1.0, "b": 1.0, REAL: 0.0}
    found = [worth(each, count) for count in (1, 8, 100)]
    assert 0.5 > found[0] > found[1] > found[2] > 0
    assert worth({"a": 1.0, "b": 1.0}, 3) == 1.0  # of a fold whose real defects could not be read


def test_scores_are_judged_by_each_generator_alone_and_folds_are_averaged() -> None:
    folds = [outcome([0, 1], a=[2, 3], b=[0.5, 2]), outcome([0, 1], a=[-1, -2], b=[5, 6])]
    found = judge(folds)
    assert found.each == {"a": 0.5, "b": 0.875}
    assert found.image.value == pytest.approx((0.75 + 0.0) / 2)
    assert found.image.low <= found.image.value <= found.image.high
    assert found.flaws == 8
    assert judge(folds[:1] * 2).image.value == judge(folds[:1]).image.value
    wide, narrow = (judge(folds[:1] * count).image for count in (1, 4))
    assert narrow.high - narrow.low < wide.high - wide.low


def test_pixels_count_where_there_are_masks() -> None:
    assert judge([outcome([0, 1], {"a": None}, a=[2, 3])]).pixel is None
    assert judge([outcome([0, 1], {"a": 0.2, "b": 0.4, REAL: None}, a=[2], b=[2], real=[2])]).pixel == 0.2


def test_the_best_is_chosen_by_pictures_and_pixels_together_and_then_by_time() -> None:
    assert best([judged(0.8), judged(0.9)]) == 1
    assert best([judged(0.9, 0.2), judged(0.8, 0.4)]) == 1
    assert best([judged(0.9, 0.3), judged(0.7, 0.4)]) == 0
    assert best([judged(0.9, 0.6, seconds=0.5), judged(0.895, 0.6, seconds=0.1)]) == 1
    assert best([judged(0.9, 0.9), judged(0.8, 0.95, seconds=0.01)]) == 0
    assert best([judged(0.9, None), judged(0.8, None)]) == 0


def test_a_limit_on_time_is_hard() -> None:
    both = [judged(0.9, seconds=0.5), judged(0.6, seconds=0.1)]
    assert best(both, allowed=0.2) == 1
    assert best(both, allowed=0.01) is None
    assert rank(both, allowed=0.2) == [1, 0]
    assert rank(both) == [0, 1]


def test_what_a_choice_reaches_on_flaws_that_did_not_make_it() -> None:
    tricky = judged(0.9, a=1.0, b=1.0, c=0.0)
    honest = judged(0.8, a=0.8, b=0.8, c=0.8)
    # Without a, (b, c) choose honest; without b, (a, c) as well; without c, (a, b) choose tricky.
    assert unseen([tricky, honest]) == pytest.approx((0.8 + 0.8 + 0.0) / 3)
    assert unseen([judged(0.9, a=1.0)]) is None


def test_what_one_candidate_is_worth_beside_another_is_sure_only_by_many_pictures() -> None:
    def pair(count: int) -> tuple[dict[str, Any], dict[str, Any]]:
        good = [float(at) for at in range(count)]
        flaws = [count / 2 + 0.5 + at for at in range(count)]
        better = [each + count / 4 for each in flaws]
        found = outcome(good, {"a": 0.6, "b": 0.5}, a=better, b=better)
        return found, outcome(good, {"a": 0.4, "b": 0.4}, a=flaws, b=flaws)

    few, many = (gain([better], [usual]) for better, usual in (pair(2), pair(64)))
    assert few.low <= 0 < few.value < few.high
    assert 0 < many.low < many.value < many.high
    better, usual = pair(64)
    assert many.value == pytest.approx(judge([better]).image.value - judge([usual]).image.value + 0.5 - 0.4)
    assert gain([usual, better], [usual, better]) == (0, 0, 0)
    assert gain([usual], [better]).value == pytest.approx(-many.value)
    twice = gain([better] * 2, [usual] * 2)
    assert twice.high - twice.low < many.high - many.low
