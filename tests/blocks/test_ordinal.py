"""Grades, against plain definitions and scikit-learn."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from blemish.blocks.ordinal import Ordinal, fit_ordinal


def test_probabilities_are_differences_of_sigmoids_and_add_up_to_1() -> None:
    model, rows = Ordinal(torch.tensor([1.0, -2.0]), torch.tensor([-1.0, 0.5, 3.0])), torch.randn(5, 2)
    below = torch.sigmoid(model.limits - (rows @ model.slope)[:, None])
    expected = torch.diff(below, dim=1, prepend=torch.zeros(5, 1), append=torch.ones(5, 1))
    torch.testing.assert_close(model.logits(rows).exp(), expected)
    assert torch.isfinite(model.logits(100 * rows)).all()


def test_of_two_grades_it_is_a_logistic_regression() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(60, 3, generator=generator)
    grades = (rows[:, 0] + torch.randn(60, generator=generator) > 0).long()
    found = fit_ordinal(rows, grades, torch.ones(60), levels=2, penalty=0.05)
    reference = LogisticRegression(C=1 / (2 * 60 * 0.05), tol=1e-8).fit(rows, grades)
    np.testing.assert_allclose(found.slope, reference.coef_[0], rtol=1e-2, atol=1e-3)
    np.testing.assert_allclose(-found.limits, reference.intercept_, rtol=1e-2, atol=1e-3)


def test_grades_along_a_line_are_told_from_each_other() -> None:
    rows = torch.linspace(-2, 2, 40)[:, None]
    grades = (torch.arange(40) // 10).long()
    found = fit_ordinal(rows, grades, torch.ones(40), levels=4, penalty=1e-5)
    assert torch.equal(found.logits(rows).argmax(1), grades)
    assert (found.limits.diff() > 0).all()
