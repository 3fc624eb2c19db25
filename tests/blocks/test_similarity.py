from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from blemish.blocks.similarity import anomaly_probability, cosine, measure_along, text_margin


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_cosine_is_the_product_over_both_lengths() -> None:
    a, b = drawn(2, 3, 5), drawn(4, 5, seed=1)
    found = cosine(a, b)
    assert found.shape == (2, 3, 4)
    for i in range(2):
        for j in range(3):
            for k in range(4):
                expected = (a[i, j] @ b[k]) / (a[i, j].norm(p=2) * b[k].norm(p=2))
                assert float(found[i, j, k]) == pytest.approx(float(expected), abs=1e-6)


def test_cosine_of_parallel_opposite_and_zero_vectors() -> None:
    found = cosine(torch.tensor([[3.0, 0.0], [-2.0, 0.0], [0.0, 0.0]]), torch.tensor([[5.0, 0.0], [0.0, 1.0]]))
    assert_close(found, torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]]))


def test_what_is_measured_along_columns_is_of_unit_vectors_with_their_gradient() -> None:
    embeddings, columns = drawn(2, 3, 5).requires_grad_(), drawn(2, 5, 1, seed=1)
    found, expected = measure_along(embeddings, columns), F.normalize(embeddings, dim=-1) @ columns
    assert_close(found, expected)
    assert_close(*(torch.autograd.grad(each.square().sum(), embeddings)[0] for each in (found, expected)))


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("temperature", [0.07, 0.01])
def test_anomaly_probability_is_the_softmax_beyond_row_0(classes: int, temperature: float) -> None:
    embeddings, prototypes = drawn(3, 4, 6), drawn(classes, 6, seed=1)
    found = anomaly_probability(embeddings, prototypes, temperature)
    assert found.shape == (3, 4)
    weights = (cosine(embeddings.double(), prototypes.double()) / temperature).exp()
    assert_close(found.double(), 1 - weights[..., 0] / weights.sum(-1), atol=1e-5, rtol=1e-4)


def test_anomaly_probability_keeps_its_digits_near_0() -> None:
    prototypes = torch.eye(2)
    found = float(anomaly_probability(torch.tensor([1.0, 0.0]), prototypes, 0.05))
    assert found == pytest.approx(1 / (1 + math.exp(20)), rel=1e-5)


def test_the_margin_is_the_logit_of_the_second_text_among_two() -> None:
    draw = torch.Generator().manual_seed(0)
    places, texts = (F.normalize(torch.randn(2, *shape, generator=draw), dim=-1) for shape in ((3, 4, 5), (2, 5)))
    found = text_margin(places, texts, 0.1)
    for picture, pair, margin in zip(places, texts, found, strict=True):
        assert_close(margin.sigmoid(), anomaly_probability(picture, pair, 0.1))
    assert_close(text_margin(places, texts[:1], 0.1)[0], found[0])
