"""What a picture looks like, against plain definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge as Reference

from blemish import encoders
from blemish.blocks import least_squares
from blemish.blocks.describing import Balance, gather_places
from blemish.blocks.least_squares import fit_ridge
from blemish.blocks.shown_types import even_weights, familiarity, first_examples, type_errors, type_means


def test_a_region_has_the_mean_deviation_and_maximum_of_its_places() -> None:
    places, weights = torch.randn(2, 4, 5, 3), torch.zeros(2, 4, 5)
    weights[0, 1:3, 2] = 1
    weights[1] = 1
    found = gather_places(places, weights, torch.ones(2, 7))
    inside = places[0, 1:3, 2]
    expected = torch.cat([torch.ones(7), inside.mean(0), inside.std(0, correction=0), inside.amax(0)])
    torch.testing.assert_close(found[0], expected)
    torch.testing.assert_close(found[1, 7:10], places[1].mean((0, 1)))


def test_parts_of_a_description_weigh_as_said_whatever_their_size() -> None:
    encoder = encoders.load(encoders.TINY)
    balance = Balance(encoder)
    rows = torch.randn(50, sum(balance.widths))
    rows[:, : encoder.width] *= 1000
    balance.learn(rows)
    scaled = (rows - balance.get_buffer("mean")) * balance.get_buffer("scale")
    sizes = [part.square().sum(1).mean().sqrt().item() for part in scaled.split(balance.widths, 1)]
    np.testing.assert_allclose(sizes, balance.weights, rtol=1e-4)
    torch.testing.assert_close(balance(rows).norm(dim=1), torch.ones(50))


def test_least_squares_are_those_of_scikit_learn_whichever_side_is_shorter() -> None:
    generator = torch.Generator().manual_seed(0)
    for count, width in ((12, 30), (40, 8)):
        rows, targets = torch.randn(count, width, generator=generator), torch.randn(count, 2, generator=generator)
        weights = torch.rand(count, generator=generator) + 0.1
        share = (weights / weights.sum()).double()
        centred = rows.double() - share @ rows.double()
        strength = 0.3 * float((share[:, None] * centred.square()).sum()) / count
        reference = Reference(alpha=strength).fit(rows.double(), targets.double(), sample_weight=share)
        found = fit_ridge(rows, targets, weights, 0.3)
        np.testing.assert_allclose(found.slope.T, reference.coef_, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found.offset, reference.intercept_, rtol=1e-4, atol=1e-5)


def test_few_rows_at_once_fit_as_all_do(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    rows, weights = torch.randn(50, 6, generator=generator), torch.rand(50, generator=generator)
    targets = (torch.rand(50, 3, generator=generator) > 0.7).float()
    for count in (50, 5):
        wanted = fit_ridge(rows[:count], targets[:count], weights[:count], 0.3)
        with monkeypatch.context() as few:
            few.setattr(least_squares, "AT_ONCE", 4)
            found = fit_ridge(rows[:count], targets[:count], weights[:count], 0.3)
        torch.testing.assert_close(found.slope, wanted.slope, rtol=1e-6, atol=1e-7)
        torch.testing.assert_close(found.offset, wanted.offset, rtol=1e-6, atol=1e-7)


def test_every_type_counts_alike() -> None:
    types = torch.tensor([[1, 0], [1, 0], [1, 0], [0, 1]], dtype=torch.bool)
    torch.testing.assert_close(even_weights(types), torch.tensor([1 / 6, 1 / 6, 1 / 6, 1 / 2]))
    rows = torch.tensor([[1.0], [2.0], [3.0], [7.0]])
    torch.testing.assert_close(type_means(rows, types), torch.tensor([[2.0], [7.0]]))


def test_the_first_examples_of_each_type_are_kept_and_what_is_like_none_is_unfamiliar() -> None:
    types = torch.tensor([[1, 0], [1, 0], [1, 0], [1, 1], [0, 1]], dtype=torch.bool)
    assert first_examples(types, 2).tolist() == [0, 1, 4]
    assert first_examples(types[:, [1, 0]], 2).tolist() == [0, 1, 3, 4]
    assert first_examples(types, 9, rows=2).tolist() == [0, 4]
    known = torch.eye(4)[:3]
    rows = torch.tensor([[0.6, 0.8, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    torch.testing.assert_close(familiarity(rows, known, near=2), torch.tensor([[0.7], [0.0]]))
    torch.testing.assert_close(familiarity(rows, known, near=9), torch.tensor([[1.4 / 3], [0.0]]))


def test_errors_of_types_are_one_choice_or_one_decision_each() -> None:
    logits, types = torch.randn(2, 3), torch.tensor([[1, 0, 0], [1, 0, 1]], dtype=torch.bool)
    chances = logits.log_softmax(1)
    expected = torch.stack([-chances[0, 0], -(chances[1, 0] + chances[1, 2]) / 2])
    torch.testing.assert_close(type_errors(logits, types, several=False), expected)
    right = torch.where(types, logits.sigmoid(), 1 - logits.sigmoid())
    torch.testing.assert_close(type_errors(logits, types, several=True), -right.log().sum(1))
