from __future__ import annotations

import math

import pytest

from blemish.training.schedule import Schedule, rate


def test_the_rate_warms_up_and_falls_along_half_a_cosine() -> None:
    plan = Schedule(steps=110, rate=1.0, warmup=10)
    assert [rate(step, plan) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert rate(10, plan) == pytest.approx(1)
    assert rate(60, plan) == pytest.approx(0.505)
    assert rate(35, plan) == pytest.approx(0.01 + 0.99 * (1 + math.sqrt(0.5)) / 2)
    assert rate(109, plan) == pytest.approx(0.01, abs=1e-3)


def test_a_floor_of_1_keeps_the_rate() -> None:
    assert {rate(step, Schedule(steps=10, rate=0.5, floor=1.0)) for step in range(10)} == {0.5}


def test_the_rate_drops_where_it_is_told_to() -> None:
    plan = Schedule(steps=10, rate=1.0, warmup=2, drops=((0.8, 0.4), (0.9, 0.5)))
    assert [rate(step, plan) for step in range(10)] == pytest.approx([0.5, 1, 1, 1, 1, 1, 1, 1, 0.4, 0.2])
