from __future__ import annotations

import math

import numpy as np
import pytest

from blemish.errors import BadInput
from blemish.metrics.latency import MOST_KEPT, Times, percentile


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_the_interval_covers_the_true_percentile(share: float) -> None:
    rng = np.random.default_rng(0)
    true, covered = -math.log(1 - share), 0
    for _ in range(800):
        found = percentile(rng.exponential(size=150), share)
        assert found.low <= found.value <= found.high
        covered += found.low <= true <= found.high
    assert 0.94 <= covered / 800 <= 1


def test_the_value_is_an_order_statistic() -> None:
    assert percentile(np.arange(1, 101), 0.95).value == 95
    assert percentile([3.0, 1.0, 2.0], 0.5).value == 2


def test_too_few_runs_bound_nothing() -> None:
    assert percentile([1.0, 2.0], 0.5)[1:] == (0, math.inf)
    assert percentile(np.arange(1, 301), 0.99).high == math.inf  # 0.99^300 is 0.049
    assert percentile(np.arange(1, 401), 0.99).high == 400  # and 0.99^400 is 0.018


@pytest.mark.parametrize("seconds", [[], [math.nan], [-1.0]])
def test_what_is_no_time_is_refused(seconds: list[float]) -> None:
    with pytest.raises(BadInput, match="needs times"):
        percentile(seconds, 0.5)


def test_of_many_times_some_are_kept_each_as_likely() -> None:
    times = Times()
    for number in range(MOST_KEPT):
        times.add(number)
    assert list(times) == list(range(MOST_KEPT))
    for number in range(MOST_KEPT, 5 * MOST_KEPT):
        times.add(number)
    kept = np.fromiter(times, float)
    assert len(kept) == len(set(kept)) == MOST_KEPT
    fifths = np.histogram(kept, 5, (0, 5 * MOST_KEPT))[0] / MOST_KEPT
    assert fifths == pytest.approx(np.full(5, 0.2), abs=0.02)  # five deviations
    assert percentile(kept, 0.5).low < 2.5 * MOST_KEPT < percentile(kept, 0.5).high
