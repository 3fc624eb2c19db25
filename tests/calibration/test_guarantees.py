from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from blemish.calibration.guarantees import (
    as_json,
    escapes,
    escapes_by_size,
    escapes_by_type,
    false_rejects,
    missing_parts,
    missing_parts_by_type,
    review_share,
    statement,
)
from blemish.calibration.thresholds import (
    STRICTEST,
    Calibration,
    Goal,
    calibrate_thresholds,
    with_goal,
    with_thresholds,
)
from blemish.metrics.binomial import highest_rate


def shown(seed: int = 0, *, goal: Goal = STRICTEST, scheme: Any = "split", fold: int = 1) -> Calibration:
    rng = np.random.default_rng(seed)
    good = rng.normal(size=60).tolist()
    defects = {"scratch": rng.normal(3, 1, 30).tolist(), "dent": rng.normal(5, 1, 20).tolist()}
    sizes: dict[str, list[float]] = {"scratch": [float(n) for n in range(30)], "dent": [math.nan] * 20}
    return calibrate_thresholds(good, scheme=scheme, defects=defects, sizes=sizes, peaks=good, fold=fold, goal=goal)


def test_the_numbers_are_those_of_the_exact_bounds() -> None:
    promise = false_rejects(shown())
    assert promise[:2] == (0, 60)
    assert promise[2:] == pytest.approx((1 - 0.05 ** (1 / 60), 1 / 61))
    pooled = escapes(shown(goal=Goal(escape=0.1)))
    assert pooled is not None
    assert pooled.cases == 1
    assert pooled.highest == highest_rate(1, 50, 0.95)
    assert highest_rate(1, 50, 0.95) <= 0.1


def test_cross_promises_an_average_and_no_confidence() -> None:
    promise = false_rejects(shown(scheme="cross", fold=6))
    assert promise[:3] == (0, 60, None)
    assert promise.average == pytest.approx(6 / 66)


def test_the_sentences_say_it() -> None:
    sentences = statement(shown())
    assert sentences[0] == (
        "At most 4.9 % of good parts are rejected, with 95 % confidence, if they are like the 60 shown."
    )
    assert sentences[1].startswith("At most 5.9 % of defective parts are accepted")
    assert (
        sentences[2]
        == "For review are 12 of the 60 good parts shown (20 %) and 5 of the 50 defective parts shown (10 %)."
    )
    assert sentences[3].startswith("At most 4.9 % of good parts show a defect region")
    assert "On average" in statement(shown(scheme="cross"))[0]
    assert "raises no score" in statement(shown(scheme="cross"))[0]
    assert "95 % confidence" not in statement(shown(scheme="cross"))[0]


def test_the_sentences_say_what_cannot_be_promised() -> None:
    sentences = statement(shown(goal=Goal(0.01, 0.01)))
    assert "takes 299 good parts, and 60 were shown" in sentences[0]
    assert "takes 299 defective parts, and 50 were shown" in sentences[1]
    assert "60 of the 60 good parts" in sentences[2]
    assert "no defective part was shown" in statement(calibrate_thresholds([1.0], scheme="split"))[1]
    assert "takes 99 good parts" in statement(shown(goal=Goal(0.01), scheme="cross"))[0]
    by_cost = statement(shown(goal=Goal(cost_ratio=2.0), scheme="cross"))
    assert "nothing can be promised" in by_cost[0]
    assert "too few" in statement(shown(goal=Goal(pixel=0.01)))[3]


def test_crossing_targets_are_told() -> None:
    found = calibrate_thresholds([0.0] * 100, scheme="split", defects={"dent": [8.0] * 100}, goal=Goal(0.1, 0.1))
    assert "midway" in statement(found)[2]
    assert "midway" not in statement(with_thresholds(shown(), accept=1.0, reject=1.0))[2]
    assert statement(calibrate_thresholds([1.0], scheme="split"))[2] == "Nothing is for review: one threshold decides."


def test_a_stated_bound_is_never_rounded_down() -> None:
    for seed, good in enumerate((7, 33, 60, 211)):
        scores = np.random.default_rng(seed).random(good).tolist()
        found = calibrate_thresholds(scores, scheme="split")
        bound = false_rejects(found).highest
        assert bound is not None
        stated = float(statement(found)[0].split()[2])
        assert 100 * bound <= stated <= 100 * bound * 1.1


def test_what_is_missing_is_enough() -> None:
    found = shown(goal=Goal(0.01, 0.02))
    lacks = missing_parts(found)
    assert lacks == {"good": 299 - 60, "defective": 149 - 50}
    assert missing_parts_by_type(found) == {"scratch": 149 - 30, "dent": 149 - 20}
    more = calibrate_thresholds(
        [*found.good, *[0.0] * lacks["good"]],
        scheme="split",
        defects={"scratch": [*found.defects["scratch"], *[5.0] * (lacks["defective"] + 20)]},
        goal=Goal(0.01, 0.02),
    )
    assert missing_parts(more) == {}
    assert more.reject < math.inf
    assert more.accept > -math.inf
    less = calibrate_thresholds([*found.good, *[0.0] * (lacks["good"] - 1)], scheme="split", goal=Goal(0.01))
    assert missing_parts(less) == {"good": 1}
    assert less.reject == math.inf


def test_cross_misses_other_numbers() -> None:
    assert missing_parts(shown(goal=Goal(0.01), scheme="cross")) == {"good": 39}
    assert missing_parts(shown(goal=Goal(0.01), scheme="cross", fold=6)) == {"good": 594 - 60}
    assert missing_parts(shown()) == {}


def test_of_each_type_and_size() -> None:
    found = shown(goal=Goal(0.1, 0.1))
    by_type, by_size = escapes_by_type(found), escapes_by_size(found)
    pooled = escapes(found)
    assert pooled is not None
    assert {name: each.total for name, each in by_type.items()} == {"scratch": 30, "dent": 20}
    assert sum(each.cases for each in by_type.values()) == pooled.cases
    assert sum(each.total for each in by_size.values()) == 30
    assert list(by_size) == ["up to 9 px", "9 to 19 px", "over 19 px"]
    for each in (*by_type.values(), *by_size.values()):
        assert each.highest is not None
        assert each.highest >= highest_rate(each.cases, each.total, 0.95)


def test_sizes_can_be_parted_by_given_areas() -> None:
    assert {name: each.total for name, each in escapes_by_size(shown(), [4.0]).items()} == {
        "up to 4 px": 5,
        "over 4 px": 25,
    }
    assert escapes_by_size(calibrate_thresholds([1.0], scheme="split", defects={"dent": [2.0]})) == {}


@pytest.mark.parametrize("goal", [Goal(escape=0.15), Goal(cost_ratio=1.0)])
def test_the_bound_of_a_type_holds_though_the_threshold_was_chosen_by_it_too(goal: Goal) -> None:
    """True escape rates of two types, uniform on [0, 1] and on [0.2, 1.2]."""
    rng = np.random.default_rng(7)
    held = np.zeros(3)
    for _ in range(600):
        defects = {"a": rng.random(40).tolist(), "b": (0.2 + rng.random(30)).tolist()}
        found = calibrate_thresholds(rng.normal(0, 0.2, 40).tolist(), scheme="split", defects=defects, goal=goal)
        rates = (min(max(found.accept, 0), 1), min(max(found.accept - 0.2, 0), 1))
        bounds = [each.highest for each in escapes_by_type(found).values()]
        pooled = escapes(found)
        assert pooled is not None
        pooled_rate = (40 * rates[0] + 30 * rates[1]) / 70
        pairs = zip((*rates, pooled_rate), (*bounds, pooled.highest), strict=True)
        held += [rate <= bound for rate, bound in pairs if bound is not None]
    assert held.min() / 600 >= 0.95


def test_a_bound_holds_where_the_cheapest_threshold_is_chosen() -> None:
    rng = np.random.default_rng(8)
    held = 0
    for _ in range(600):
        good, defects = rng.random(30), 0.5 + rng.random(30)
        found = calibrate_thresholds(
            good.tolist(), scheme="split", defects={"": defects.tolist()}, goal=Goal(cost_ratio=1.0)
        )
        bound = false_rejects(found).highest
        assert bound is not None
        held += 1 - min(max(found.reject, 0), 1) <= bound
    assert held / 600 >= 0.95


def test_thresholds_set_by_hand_are_promised_less() -> None:
    by_goal = shown()
    by_hand = with_thresholds(by_goal, accept=by_goal.accept + 0.5, reject=by_goal.reject - 0.5)
    for promise in (false_rejects, escapes):
        before, after = promise(by_goal), promise(by_hand)
        assert before is not None
        assert after is not None
        assert before.highest is not None
        assert after.highest is not None
        assert after.highest > before.highest
    stricter = with_thresholds(by_goal, accept=by_goal.accept - 0.5, reject=by_goal.reject + 0.5)
    assert false_rejects(stricter) == false_rejects(by_goal)
    never = false_rejects(with_thresholds(by_goal, accept=0.0, reject=math.inf))
    assert never.highest == 0
    assert statement(with_thresholds(by_goal, accept=-math.inf, reject=math.inf))[:2]


def test_the_review_load_is_counted() -> None:
    found = review_share(shown(goal=Goal(0.05, 0.1)))
    assert (found["good"].cases, found["good"].total) == (2, 60)
    assert (found["defective"].cases, found["defective"].total) == (4, 50)
    assert found["good"].low < 2 / 60 < found["good"].high


def test_all_of_it_is_plain_json() -> None:
    for goal in (STRICTEST, Goal(0.01, 0.01), Goal(cost_ratio=1.0)):
        for scheme in ("split", "cross"):
            found = as_json(with_goal(shown(scheme=scheme), goal))
            assert json.loads(json.dumps(found, allow_nan=False)) == found
