from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score

from blemish.errors import BadInput
from blemish.metrics.agreement import cohen, fleiss, study
from blemish.metrics.binomial import rate


def judged(seed: int, *, parts: int = 60, raters: int = 4, categories: int = 3, care: float = 0.7) -> NDArray[Any]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, categories, (parts, 1))
    guessed = rng.integers(0, categories, (parts, raters))
    return np.where(rng.random((parts, raters)) < care, truth, guessed)


@pytest.mark.parametrize("categories", [2, 3, 5])
def test_cohens_kappa_is_that_of_scikit_learn(categories: int) -> None:
    for seed in range(5):
        ratings = judged(seed, categories=categories)
        assert cohen(ratings[:, 0], ratings[:, 1]).value == pytest.approx(
            cohen_kappa_score(ratings[:, 0], ratings[:, 1]), abs=1e-12
        )


def test_fleiss_kappa_is_that_of_its_definition() -> None:
    """Pairs of raters that agree, against pairs drawn from all judgements."""
    for seed in range(5):
        ratings = judged(seed)
        pairs = list(combinations(range(ratings.shape[1]), 2))
        observed = np.mean([ratings[:, a] == ratings[:, b] for a, b in pairs])
        shares = np.bincount(ratings.ravel()) / ratings.size
        chance = (shares**2).sum()
        assert fleiss(ratings).value == pytest.approx((observed - chance) / (1 - chance))


def test_fleiss_example_of_1971_as_it_is_often_quoted() -> None:
    table = [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
    ratings = np.array([np.repeat(np.arange(5), row) for row in table])
    assert fleiss(ratings).value == pytest.approx(0.210, abs=0.0005)


def test_the_errors_are_those_of_many_samples() -> None:
    both = [(cohen(r[:, 0], r[:, 1]), fleiss(r)) for r in (judged(seed, parts=200) for seed in range(400))]
    for kind in range(2):
        values, errors = np.array([each[kind][:2] for each in both]).T
        assert errors.mean() == pytest.approx(values.std(), rel=0.12)
    covered = np.mean([each[1].low <= 0.49 <= each[1].high for each in both])  # two agree by care: 0.7 squared
    assert 0.9 <= covered <= 0.99


def test_perfect_and_hopeless_agreement() -> None:
    assert cohen(["a", "b", "a"], ["a", "b", "a"])[:2] == (1, 0)
    assert fleiss([["a", "a"], ["b", "b"]]).value == 1
    assert cohen([0, 1], [1, 0]).value == -1
    assert math.isnan(cohen([1, 1], [1, 1]).value)
    assert math.isnan(fleiss([[1, 1], [1, 1]]).value)


def test_a_study_counts_parts() -> None:
    reference = ["good", "good", "good", "dent", "dent"]
    careful = [["good"] * 3, ["good"] * 3, ["good"] * 3, ["dent"] * 3, ["dent"] * 3]
    hasty = [["good"] * 3, ["good", "dent", "good"], ["dent"] * 3, ["dent"] * 3, ["good", "dent", "dent"]]
    found = study(np.stack([careful, hasty], 1), reference)
    first, second = found.appraisers
    assert first[:4] == (rate(5, 5), rate(5, 5), rate(0, 2), rate(0, 3))
    assert second[:4] == (rate(3, 5), rate(2, 5), rate(1, 2), rate(2, 3))
    assert (found.between, found.correct) == (rate(2, 5), rate(2, 5))
    assert first.kappa.value == 1
    repeated, wanted = np.array(hasty).ravel(), np.repeat(reference, 3)
    assert second.kappa.value == pytest.approx(cohen_kappa_score(repeated, wanted))
    assert found.kappa.value == fleiss(np.stack([careful, hasty], 1).reshape(5, 6)).value


def test_repeats_of_a_part_add_no_certainty() -> None:
    """Ten identical repeats say no more than two."""
    reference = judged(3, raters=1)[:, 0]
    once = judged(3, raters=2)[:, 1:]
    few, many = (study(np.repeat(once[:, None], n, 2), reference, good=0).appraisers[0] for n in (2, 10))
    assert many.kappa.value == pytest.approx(few.kappa.value)
    assert many.kappa.error == pytest.approx(few.kappa.error)
    assert many.escapes == few.escapes
    assert few.kappa.error == pytest.approx(cohen(once[:, 0], reference).error, rel=0.15)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(BadInput, match="parts, appraisers, repeats"):
        study(np.zeros((3, 2)), [0, 0, 0])
    with pytest.raises(BadInput, match="one a part"):
        study(np.zeros((3, 2, 2)), [0, 0])
    with pytest.raises(BadInput, match="same parts"):
        cohen([1, 2], [1])
    with pytest.raises(BadInput, match="two raters"):
        fleiss([[1], [2]])
