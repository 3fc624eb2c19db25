from __future__ import annotations

import math

import numpy as np
import pytest

from blemish.metrics.control import broken_rules, ewma, lots, p_chart


def test_a_p_chart_is_what_its_definition_says() -> None:
    counts, sizes = [2, 0, 5, 1], [20, 20, 25, 30]
    found = p_chart(counts, sizes)
    centre = 8 / 95
    assert found.centre == pytest.approx(centre)
    for at, (count, size) in enumerate(zip(counts, sizes, strict=True)):
        sigma = math.sqrt(centre * (1 - centre) / size)
        assert found.share[at] == pytest.approx(count / size)
        assert found.z[at] == pytest.approx((count / size - centre) / sigma)
        assert found.limit(3)[at] == pytest.approx(min(1, centre + 3 * sigma))
        assert found.limit(-3)[at] == pytest.approx(max(0, centre - 3 * sigma))
    assert p_chart([0, 0], [10, 10]).z.tolist() == [0, 0]


def plain_rules(z: list[float], at: int) -> set[int]:
    """As the handbook has them, about the point that is looked at."""
    found = set()
    for sign in (1, -1):
        side = [sign * each for each in z[: at + 1]]
        now, of_three, of_five, of_eight = side[-1], side[-3:], side[-5:], side[-8:]
        if now > 3:
            found.add(1)
        if now > 2 and sum(each > 2 for each in of_three) >= 2:
            found.add(2)
        if now > 1 and sum(each > 1 for each in of_five) >= 4:
            found.add(3)
        if len(of_eight) == 8 and min(of_eight) > 0:
            found.add(4)
    return found


def test_rules_are_broken_where_the_handbook_says() -> None:
    assert broken_rules([0, 3.1]) == [(), (1,)]
    assert broken_rules([2.1, 0, 2.1, -2.5]) == [(), (), (2,), ()]
    assert broken_rules([1.5, 1.5, -0.1, 1.5, 1.5])[-1] == (3,)
    assert broken_rules([0.5] * 8)[-2:] == [(), (4,)]
    rng = np.random.default_rng(0)
    for _ in range(20):
        z = (rng.normal(0.4, 1.3, 40)).tolist()
        assert [set(each) for each in broken_rules(z)] == [plain_rules(z, at) for at in range(40)]


def test_an_ewma_is_the_weighted_sum_of_all_before() -> None:
    values, weight = np.random.default_rng(1).normal(5, 2, 30), 0.2
    found = ewma(values, centre=5, sigma=2, weight=weight, width=3)
    for t in (1, 7, 30):
        weights = [weight * (1 - weight) ** (t - each) for each in range(1, t + 1)]
        plain = (1 - weight) ** t * 5 + sum(w * x for w, x in zip(weights, values[:t], strict=True))
        assert found.mean[t - 1] == pytest.approx(plain)
        # The standard deviation of that sum of independent values.
        assert found.reach[t - 1] == pytest.approx(3 * 2 * math.sqrt(sum(w * w for w in weights)))
    assert found.is_outside.tolist() == [abs(m - 5) > r for m, r in zip(found.mean, found.reach, strict=True)]


@pytest.mark.parametrize(("total", "sizes"), [(0, []), (19, []), (45, [20, 20]), (2000, [40] * 50)])
def test_lots_are_equal_and_end_with_the_last_part(total: int, sizes: list[int]) -> None:
    found = lots(total, 50, 20)
    assert [len(range(total)[each]) for each in found] == sizes
    assert not found or found[-1].stop == total
