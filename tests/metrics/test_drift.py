from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from blemish.errors import BadInput
from blemish.metrics.drift import BETS, Drift


def alarmed_after(good: ArrayLike, later: ArrayLike, **options: Any) -> int | None:
    """How many parts it takes; None if there is no alarm."""
    watch = Drift(np.asarray(good), **options)
    return next((count for count, score in enumerate(np.asarray(later), start=1) if watch.add(score)), None)


@pytest.mark.parametrize("lines", [60, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("values", [None, 5])
def test_false_alarms_are_as_rare_as_promised(values: int | None, lines: int) -> None:
    """Also with many ties, and though the line runs long after a short calibration."""
    rng = np.random.default_rng(0)

    def drawn(count: int) -> NDArray[np.float64]:
        return rng.normal(size=count) if values is None else rng.integers(0, values, count).astype(float)

    alarms = sum(alarmed_after(drawn(20), drawn(400), false_alarm=0.2, seed=n) is not None for n in range(lines))
    assert alarms / lines <= 0.2 + 3 * math.sqrt(0.2 * 0.8 / lines)


def test_the_evidence_is_a_martingale() -> None:
    """Its mean over all p-values is what it was: here after some parts, over a fine grid of the next one's rank."""
    rng = np.random.default_rng(1)
    good, seen = rng.normal(size=1000), rng.normal(size=7) + 0.5
    means = []
    for score in np.quantile(good, (np.arange(400) + 0.5) / 400):
        watch = Drift(good)
        for each in seen:
            watch.add(each)
        before = watch.evidence
        watch.add(score)
        means.append(watch.evidence)
    assert np.mean(means) == pytest.approx(before, rel=0.01)


@pytest.mark.parametrize(
    ("change", "move", "spread"),
    [("higher", 1.5, 1.0), ("lower", -1.5, 1.0), ("more spread", 0.0, 3.0), ("less spread", 0.0, 0.3)],
)
def test_a_change_is_found_and_named(change: str, move: float, spread: float) -> None:
    rng = np.random.default_rng(2)
    watch = Drift(rng.normal(size=200), false_alarm=0.001)
    assert not any(watch.add(score) for score in rng.normal(size=500))
    found = [watch.add(score) for score in move + spread * rng.normal(size=150)]
    assert found[-1]
    assert watch.change.endswith(change)


def test_a_change_is_found_soon_even_after_a_long_quiet_time() -> None:
    rng = np.random.default_rng(3)
    quiet = rng.normal(size=5000)
    first = alarmed_after(quiet[:100], np.r_[quiet, 4 + rng.normal(size=60)], false_alarm=0.01)
    assert first is not None
    assert 5000 < first <= 5045


def test_an_alarm_stays() -> None:
    watch = Drift(np.arange(50), false_alarm=0.05)
    alarms = [watch.add(1000.0 + n) for n in range(20)]
    assert alarms[-1]
    alarms += [watch.add(float(n % 50)) for n in range(400)]
    assert all(alarms[19:])
    assert watch.evidence < watch.limit


def test_the_same_seed_gives_the_same_evidence() -> None:
    def evidence(seed: int) -> float:
        watch = Drift([1.0, 1.0, 2.0], seed=seed)
        for _ in range(10):
            watch.add(1.0)
        return watch.evidence

    assert evidence(0) == evidence(0) != evidence(1)


def test_no_bet_can_be_lost_below_nothing() -> None:
    for tilt, spread in BETS.values():
        values = 1 + tilt * (np.linspace(0, 1, 101) - 0.5) + spread * (4 * np.abs(np.linspace(0, 1, 101) - 0.5) - 1)
        assert values.min() > 0
        assert values.mean() == pytest.approx(1, abs=0.01)


def test_what_cannot_be_watched_is_refused() -> None:
    for good in ([], [math.nan]):
        with pytest.raises(BadInput, match="at least one"):
            Drift(good)
    with pytest.raises(BadInput, match="not finite"):
        Drift([1.0]).add(math.inf)
    with pytest.raises(BadInput, match="not a rate"):
        Drift([1.0], false_alarm=1.0)
