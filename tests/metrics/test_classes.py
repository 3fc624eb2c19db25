"""How well classes are told apart: against plain definitions and scikit-learn."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn import metrics as reference

from blemish.errors import BadInput
from blemish.metrics import classes
from blemish.metrics.intervals import estimate

Drawn = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]


def drawn(seed: int, *, count: int = 90, size: int = 5) -> Drawn:
    """Classes, what is said of them, and scores with ties; the last class has no example."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, size - 1, count)
    scores = np.round(rng.random((count, size)) + 0.6 * (truth[:, None] == np.arange(size)), 1)
    return truth, scores.argmax(1), scores


def several(seed: int) -> Drawn:
    """Of four classes, any number a picture: the third has no example, the fourth neither that nor is it ever said."""
    rng = np.random.default_rng(seed)
    truth = rng.random((70, 4)) < (0.3, 0.6, 0.0, 0.0)
    scores = np.round(rng.random((70, 4)) + 0.5 * truth, 1)
    return truth, (scores > 0.8) & (np.arange(4) < 3), scores


def plain_f1(truth: NDArray[Any], said: NDArray[Any]) -> float:
    right = sum(t and s for t, s in zip(truth, said, strict=True))
    return float(2 * right / (sum(truth) + sum(said)))


@pytest.mark.parametrize("seed", range(4))
def test_shares_and_f1_are_those_of_scikit_learn_and_of_plain_definitions(seed: int) -> None:
    truth, said, _ = drawn(seed)
    there, either = sorted(set(truth)), sorted(set(truth) | set(said))
    assert classes.accuracy(truth, said) == pytest.approx(np.mean([t == s for t, s in zip(truth, said, strict=True)]))
    shares = [np.mean(said[truth == kind] == kind) for kind in there]
    assert classes.balanced_accuracy(truth, said) == pytest.approx(np.mean(shares))
    assert classes.balanced_accuracy(truth, said) == pytest.approx(
        reference.recall_score(truth, said, average="macro", labels=there)
    )
    each = [plain_f1(truth == kind, said == kind) for kind in either]
    assert classes.macro_f1(truth, said) == pytest.approx(np.mean(each))
    assert classes.macro_f1(truth, said) == pytest.approx(reference.f1_score(truth, said, average="macro"))
    assert classes.micro_f1(truth, said) == pytest.approx(classes.accuracy(truth, said))


@pytest.mark.parametrize("seed", range(4))
def test_several_classes_a_picture_are_counted_as_by_scikit_learn(seed: int) -> None:
    truth, said, scores = several(seed)
    assert classes.accuracy(truth, said) == pytest.approx(reference.accuracy_score(truth, said))
    assert classes.macro_f1(truth, said) == pytest.approx(
        np.mean([plain_f1(truth[:, kind], said[:, kind]) for kind in range(3)])
    )
    assert classes.macro_f1(truth, said) == pytest.approx(
        reference.f1_score(truth[:, :3], said[:, :3], average="macro")
    )
    assert classes.micro_f1(truth, said) == pytest.approx(reference.f1_score(truth, said, average="micro"))
    assert classes.micro_f1(truth, said) == pytest.approx(plain_f1(truth.ravel(), said.ravel()))
    shares = [said[truth[:, kind], kind].mean() for kind in (0, 1)]
    assert classes.balanced_accuracy(truth, said) == pytest.approx(np.mean(shares))
    assert classes.mean_average_precision(truth, scores) == pytest.approx(
        reference.average_precision_score(truth[:, :2], scores[:, :2], average="macro")
    )


def test_average_precision_by_hand() -> None:
    """A class is ranked right, wrong, right; the other is there in every picture and ranks nothing."""
    truth = np.array([[True, True], [False, True], [True, True]])
    scores = [[0.9, 0.1], [0.8, 0.2], [0.3, 0.3]]
    assert classes.mean_average_precision(truth, scores) == pytest.approx((1 + 2 / 3) / 2)
    assert math.isnan(classes.mean_average_precision(truth[:, 1:], np.ones((3, 1))))


def chance_in_order(row: NDArray[Any], own: int, k: int) -> float:
    """How often the class is among the k first when those that tie are put in any order."""
    rng = np.random.default_rng(0)
    orders = [np.lexsort([rng.random(len(row)), -row])[:k] for _ in range(400)]
    return float(np.mean([own in order for order in orders]))


@pytest.mark.parametrize("k", [1, 2, 4])
def test_the_k_highest_are_those_of_scikit_learn_and_ties_share_their_chance(k: int) -> None:
    truth, _, scores = drawn(0)
    free = scores + np.random.default_rng(1).random(scores.shape) / 100
    assert classes.top_k_accuracy(truth, free, k) == pytest.approx(
        reference.top_k_accuracy_score(truth, free, k=k, labels=range(5))
    )
    expected = np.mean([chance_in_order(row, own, k) for row, own in zip(scores, truth, strict=True)])
    assert classes.top_k_accuracy(truth, scores, k) == pytest.approx(expected, abs=0.01)
    assert classes.top_k_accuracy(truth, np.zeros((90, 5)), k) == pytest.approx(k / 5)


def test_more_places_than_classes_hold_every_class() -> None:
    truth, _, scores = drawn(2)
    assert classes.top_k_accuracy(truth, scores, 9) == 1
    with pytest.raises(BadInput, match="k=0"):
        classes.top_k_accuracy(truth, scores, 0)


@pytest.mark.parametrize("seed", range(3))
def test_a_confusion_is_that_of_scikit_learn(seed: int) -> None:
    truth, said, _ = drawn(seed)
    truth, said = truth * 7, said * 7  # numbers with gaps
    found = classes.confusion(truth, said)
    assert found.classes.tolist() == sorted(set(truth) | set(said))
    np.testing.assert_array_equal(found.counts, reference.confusion_matrix(truth, said))


def test_a_confusion_of_too_many_classes_puts_the_rare_ones_together() -> None:
    truth, said = [5, 5, 5, 9, 9, 2, 3], [5, 5, 9, 9, 2, 3, 5]
    found = classes.confusion(truth, said, limit=2)
    assert found.classes.tolist() == [5, 9, classes.REST]
    assert found.counts.tolist() == [[2, 1, 0], [0, 1, 1], [1, 0, 1]]


@pytest.mark.parametrize("bins", [1, 7, 15])
def test_calibration_error_is_that_of_its_definition(bins: int) -> None:
    truth, _, scores = drawn(3, count=200)
    shares = np.round(scores / scores.sum(1, keepdims=True), 2)
    sure, right = shares.max(1), shares.argmax(1) == truth
    total = 0.0
    for number in range(bins):
        low, high = np.linspace(0, 1, bins + 1)[number : number + 2]
        inside = (sure > low) & (sure <= high)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - sure[inside].mean())
    assert classes.calibration_error(truth, shares, bins=bins) == pytest.approx(total)


def test_calibration_error_by_hand() -> None:
    """Sure by 0.9 and half right, and sure by 0.6 and right."""
    shares = [[0.9, 0.1], [0.1, 0.9], [0.6, 0.4]]
    assert classes.calibration_error([0, 0, 0], shares, bins=10) == pytest.approx((2 * 0.4 + 0.4) / 3)
    assert classes.calibration_error([0, 1], [[1.0, 0.0], [0.0, 1.0]]) == 0


def test_sets_are_covered_and_sized() -> None:
    sets = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 0], [1, 1, 1]], bool)
    assert classes.coverage([0, 2, 1, 2], sets) == 2 / 4
    assert classes.set_size(sets) == 6 / 4


def test_unknown_pictures_are_told_by_the_likeliest_class() -> None:
    _, _, scores = drawn(4)
    unknown = np.arange(90) % 3 == 0
    pairs = [(row.max(), other.max()) for row in scores[unknown] for other in scores[~unknown]]
    expected = np.mean([1.0 if own < known else 0.5 if own == known else 0.0 for own, known in pairs])
    assert classes.unknown_auroc(unknown, scores) == pytest.approx(expected)
    assert math.isnan(classes.unknown_auroc([False, False], [[0.1, 0.2], [0.3, 0.4]]))


@pytest.mark.parametrize("seed", range(4))
def test_quadratic_kappa_is_that_of_scikit_learn_and_of_its_table(seed: int) -> None:
    truth, said, _ = drawn(seed)
    observed = np.zeros((5, 5))
    for own, other in zip(truth, said, strict=True):
        observed[own, other] += 1
    weight = (np.arange(5)[:, None] - np.arange(5)) ** 2
    by_chance = np.outer(observed.sum(1), observed.sum(0)) / len(truth)
    kappa = classes.quadratic_kappa(truth, said)
    assert kappa == pytest.approx(1 - (weight * observed).sum() / (weight * by_chance).sum())
    assert kappa == pytest.approx(reference.cohen_kappa_score(truth, said, weights="quadratic"))


def test_one_class_only() -> None:
    assert classes.accuracy([0, 0], [0, 0]) == classes.balanced_accuracy([0, 0], [0, 0]) == 1
    assert classes.macro_f1([3, 3], [3, 3]) == classes.micro_f1([3, 3], [3, 3]) == 1
    assert math.isnan(classes.quadratic_kappa([1, 1], [1, 1]))
    assert classes.quadratic_kappa([0, 1], [1, 0]) == -1
    assert classes.confusion([4], [4]).counts.tolist() == [[1]]
    assert classes.top_k_accuracy([0], [[0.3]], 1) == 1


def test_no_class_at_all_is_nothing_to_average() -> None:
    none = np.zeros((3, 2), bool)
    assert math.isnan(classes.macro_f1(none, none))
    assert math.isnan(classes.micro_f1(none, none))
    assert classes.accuracy(none, none) == 1


def test_tensors_are_taken() -> None:
    truth, said, scores = drawn(5)
    assert classes.macro_f1(torch.tensor(truth), torch.tensor(said)) == classes.macro_f1(truth, said)
    assert classes.top_k_accuracy(torch.tensor(truth), torch.tensor(scores), 2) == classes.top_k_accuracy(
        truth, scores, 2
    )


def test_ten_thousand_classes_need_little_memory() -> None:
    rng = np.random.default_rng(0)
    truth, said = rng.integers(0, 10_000, (2, 50_000))
    tracemalloc.start()
    found = classes.confusion(truth, said)
    numbers = [metric(truth, said) for metric in (classes.macro_f1, classes.balanced_accuracy, classes.quadratic_kappa)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.counts.shape == (101, 101)
    assert found.counts.sum() == 50_000
    assert max(map(abs, numbers)) < 0.02
    assert peak < 20 << 20


def test_many_classes_are_ranked_in_the_memory_of_their_scores() -> None:
    rng = np.random.default_rng(0)
    truth, scores = rng.integers(0, 10_000, 200), rng.random((200, 10_000))
    several = np.arange(10_000) == truth[:, None]
    tracemalloc.start()
    assert 0 <= classes.mean_average_precision(several, scores) < 0.1
    assert 0 <= classes.top_k_accuracy(truth, scores, 5) < 0.05
    assert classes.coverage(truth, scores > 0.5) < 0.7
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * scores.nbytes


EMPTY: list[tuple[Callable[..., Any], Sequence[Any]]] = [
    (classes.accuracy, ([], [])),
    (classes.balanced_accuracy, ([], [])),
    (classes.macro_f1, ([], [])),
    (classes.micro_f1, (np.zeros((0, 3), bool), np.zeros((0, 3), bool))),
    (classes.mean_average_precision, (np.zeros((0, 3), bool), np.zeros((0, 3)))),
    (classes.top_k_accuracy, ([], np.zeros((0, 3)), 1)),
    (classes.confusion, ([], [])),
    (classes.calibration_error, ([], np.zeros((0, 3)))),
    (classes.coverage, ([], np.zeros((0, 3), bool))),
    (classes.set_size, (np.zeros((0, 3), bool),)),
    (classes.unknown_auroc, ([], np.zeros((0, 3)))),
    (classes.quadratic_kappa, ([], [])),
]


@pytest.mark.parametrize(("metric", "nothing"), EMPTY)
def test_no_picture_at_all_is_refused(metric: Callable[..., Any], nothing: Sequence[Any]) -> None:
    with pytest.raises(BadInput, match="no picture to count"):
        metric(*nothing)


BROKEN: list[tuple[Callable[..., Any], Sequence[Any], str]] = [
    (classes.accuracy, ([0, 1], [0]), "one row a picture"),
    (classes.accuracy, ([0, 1], np.zeros((2, 2), bool)), "of one form"),
    (classes.macro_f1, ([0, -1], [0, 1]), "numbers from 0"),
    (classes.macro_f1, (["dent"], ["dent"]), "numbers from 0"),
    (classes.macro_f1, ([True, False], [True, False]), "numbers from 0"),
    (classes.confusion, (np.ones((2, 2), bool), np.ones((2, 2), bool)), "one class a picture"),
    (classes.top_k_accuracy, ([0, 3], np.zeros((2, 3)), 1), "one of 3 classes"),
    (classes.top_k_accuracy, ([0], [[np.nan, 1.0]], 1), "finite"),
    (classes.calibration_error, ([0], [[1.5, 0.0]]), "0 to 1.5"),
    (classes.coverage, ([0], [[1, 0]]), "booleans"),
    (classes.mean_average_precision, ([0], [[0.1]]), "booleans"),
]


@pytest.mark.parametrize(("metric", "given", "message"), BROKEN)
def test_what_does_not_fit_is_refused(metric: Callable[..., Any], given: Sequence[Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        metric(*given)


def test_any_metric_has_an_interval() -> None:
    truth, said, scores = drawn(6)
    for found in (
        estimate(classes.macro_f1, truth, said, resamples=200),
        estimate(classes.calibration_error, truth, scores / scores.sum(1, keepdims=True), resamples=200),
        estimate(classes.set_size, scores > 0.5, resamples=200),
    ):
        assert found.low < found.value < found.high
    backwards = estimate(classes.quadratic_kappa, truth, 4 - truth, resamples=200)
    assert -1 <= backwards.low < backwards.value < backwards.high < 0


def test_an_interval_of_accuracy_is_about_as_wide_as_its_law_says() -> None:
    truth = np.zeros(400, int)
    found = estimate(classes.accuracy, truth, (np.arange(400) % 4 == 0).astype(int))
    assert found.high - found.low == pytest.approx(2 * 1.96 * math.sqrt(0.75 * 0.25 / 400), rel=0.1)


def test_pictures_that_are_drawn_apart_stay_as_many() -> None:
    apart = np.arange(40) < 3
    found = estimate(lambda kind: float(kind.mean()), apart, apart=apart, resamples=50)
    assert found == (3 / 40, 3 / 40, 3 / 40)
