from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.benchmark.verdicts import rates
from blemish.calibration.thresholds import Verdict, calibrate_on_average

finite = st.floats(-1e6, 1e6)
judged = st.lists(
    st.tuples(st.sampled_from(["good", "dent", "spot"]), st.sampled_from(["accept", "reject"])), min_size=1
)


@given(st.lists(finite, min_size=1, max_size=60), st.floats(0.01, 0.99))
def test_no_more_than_the_allowed_of_those_held_out_are_rejected(scores: list[float], alpha: float) -> None:
    found = calibrate_on_average(scores, alpha)
    allowed = max(1, math.floor(alpha * (len(scores) + 1)))
    assert sum(found.verdict(score) == "reject" for score in scores) <= allowed - 1
    kth = sorted(scores, reverse=True)[allowed - 1]
    assert found.verdict(kth) == "accept"
    assert found.verdict(math.nextafter(kth, math.inf)) == "reject"


@pytest.mark.parametrize("held", [19, 20, 50, 137])
def test_good_parts_are_rejected_at_no_more_than_alpha_on_average(held: int) -> None:
    rng = np.random.default_rng(0)
    draws = rng.standard_cauchy((4000, held + 1))
    rejected = np.mean([row[0] >= calibrate_on_average(row[1:].tolist(), 0.05).reject for row in draws])
    assert rejected <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 4000)
    assert rejected >= math.floor(0.05 * (held + 1)) / (held + 1) - 3 * math.sqrt(0.05 * 0.95 / 4000)


def test_without_parts_held_out_there_is_no_verdict() -> None:
    assert rates(["good", "dent"], [None, None]) == {"f1": None, "accuracy": None, "escape": None, "overkill": None}


@given(judged)
def test_rates_are_those_of_the_plain_definitions(pairs: list[tuple[str, Verdict]]) -> None:
    labels, verdicts = [label for label, _ in pairs], [said for _, said in pairs]
    found = rates(labels, verdicts)
    good = [said for label, said in pairs if label == "good"]
    bad = [said for label, said in pairs if label != "good"]
    true, false = bad.count("reject"), good.count("reject")
    plain = {
        "escape": bad.count("accept") / len(bad) if bad else None,
        "overkill": false / len(good) if good else None,
        "f1": 2 * true / (2 * true + false + bad.count("accept")) if good and bad else None,
        "accuracy": (true + good.count("accept")) / len(pairs) if good and bad else None,
    }
    for name, value in plain.items():
        each = found[name]
        assert (each is None) == (value is None)
        if each is not None and value is not None:
            assert each.value == pytest.approx(value)
            assert 0 <= each.low <= each.value <= each.high <= 1


def test_the_same_seed_gives_the_same_intervals() -> None:
    labels, verdicts = ["good"] * 9 + ["dent"] * 9, (["accept"] * 5 + ["reject"] * 4) * 2
    assert rates(labels, verdicts, seed=3) == rates(labels, verdicts, seed=3)  # type: ignore[arg-type]
    assert rates(labels, verdicts, seed=3) != rates(labels, verdicts, seed=4)  # type: ignore[arg-type]
