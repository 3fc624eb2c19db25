from __future__ import annotations

import numpy as np
import pytest
from scipy.special import betaincinv
from scipy.stats import binom, binomtest

from blemish.errors import BadInput
from blemish.metrics.binomial import beta_quantile, fewest_parts, highest_rate, lowest_rate, most_failures, rate


@pytest.mark.parametrize("total", [1, 2, 17, 400])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_the_interval_is_that_of_clopper_and_pearson(total: int, level: float) -> None:
    for cases in {0, 1, total // 3, total - 1, total}:
        expected = binomtest(cases, total).proportion_ci(level, method="exact")
        assert rate(cases, total, level)[2:] == pytest.approx((expected.low, expected.high), abs=1e-9)
        upper = binomtest(cases, total, alternative="less").proportion_ci(level, method="exact").high
        lower = binomtest(cases, total, alternative="greater").proportion_ci(level, method="exact").low
        assert highest_rate(cases, total, level) == pytest.approx(upper, abs=1e-9)
        assert lowest_rate(cases, total, level) == pytest.approx(lower, abs=1e-9)


def test_quantiles_of_many_parts_are_scipys() -> None:
    for total in (1, 30, 4000, 10**6):
        ranks = np.unique(np.geomspace(1, total, 20).astype(int))
        for share in (1e-6, 0.05, 0.5, 0.999):
            expected = betaincinv(ranks, total + 1 - ranks, share)
            np.testing.assert_allclose(beta_quantile(ranks, total + 1 - ranks, share), expected, rtol=1e-9)


def test_an_upper_bound_covers_as_often_as_it_says() -> None:
    cases = np.arange(31)
    bounds = np.array([highest_rate(int(count), 30, 0.9) for count in cases])
    for true in np.linspace(0.01, 0.99, 40):
        assert binom.pmf(cases, 30, true)[bounds >= true].sum() >= 0.9


@pytest.mark.parametrize(("target", "confidence", "parts"), [(0.01, 0.95, 299), (0.05, 0.95, 59), (0.5, 0.5, 1)])
def test_the_fewest_parts_that_show_a_target(target: float, confidence: float, parts: int) -> None:
    assert fewest_parts(target, confidence) == parts
    assert most_failures(parts, target, confidence) == 0
    assert most_failures(parts - 1, target, confidence) == -1


def test_the_most_failures_are_the_most() -> None:
    for total in (60, 500):
        found = most_failures(total, 0.1, 0.95)
        assert highest_rate(found, total, 0.95) <= 0.1 < highest_rate(found + 1, total, 0.95)


def test_of_none_nothing_is_known() -> None:
    assert rate(0, 0)[2:] == (0, 1)
    assert np.isnan(rate(0, 0).value)
    assert most_failures(0, 0.5, 0.5) == -1


def test_what_is_no_count_or_rate_is_refused() -> None:
    for cases, total in ((-1, 3), (4, 3)):
        with pytest.raises(BadInput, match="not a count"):
            highest_rate(cases, total, 0.95)
    with pytest.raises(BadInput, match="not a rate"):
        most_failures(3, 0.0, 0.95)
    with pytest.raises(BadInput, match="not a confidence"):
        lowest_rate(1, 3, 1.0)
