from __future__ import annotations

import math

import pytest

from blemish.training.schedule import Schedule, Stage, batch_numbers, rate, stage


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


def test_stages_share_the_steps_and_each_has_one() -> None:
    plan = Schedule(steps=10, stages=(Stage(0.2), Stage(0.5), Stage(0.3)))
    assert [stage(step, plan) for step in range(10)] == [0, 0, 1, 1, 1, 1, 1, 2, 2, 2]
    few = Schedule(steps=3, stages=(Stage(0.01), Stage(0.02), Stage(0.97)))
    assert [stage(step, few) for step in range(3)] == [0, 1, 2]
    assert {stage(step, Schedule(steps=5)) for step in range(5)} == {0}


def test_every_batch_has_its_number_whatever_a_stage_needs_for_an_update() -> None:
    plan = Schedule(steps=5, accumulate=2, stages=(Stage(0.4, 3), Stage(0.6)))
    found = [list(batch_numbers(step, plan)) for step in range(5)]
    assert found == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11], [12, 13], [14, 15], [16, 17]]
    plain = Schedule(steps=3, accumulate=2)
    assert [list(batch_numbers(step, plain)) for step in range(3)] == [[0, 1], [2, 3], [4, 5]]
