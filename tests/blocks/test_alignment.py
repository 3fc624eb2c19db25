"""Pictures and sentences, against plain definitions."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from blemish.blocks.alignment import match_pictures, principal_axes


@pytest.mark.parametrize("shape", [(6, 20), (20, 6)])
def test_axes_are_those_along_which_rows_differ_most(shape: tuple[int, int]) -> None:
    rows = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    axes = principal_axes(rows, 3)
    sides = torch.linalg.svd(rows - rows.mean(0), full_matrices=False).Vh[:3]
    torch.testing.assert_close(axes @ axes.T, sides.T @ sides, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(axes.T @ axes, torch.eye(3), rtol=1e-3, atol=1e-4)


def test_a_picture_chooses_its_texts_and_a_text_its_pictures() -> None:
    embeddings, texts = F.normalize(torch.randn(4, 8), dim=1), F.normalize(torch.randn(3, 8), dim=1)
    types = torch.tensor([[1, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], dtype=torch.bool)
    weights = torch.tensor([0.1, 0.2, 0.3, 0.4])
    logits = (embeddings @ texts.T / 0.1).double()
    chosen = 0.0
    for row in range(4):
        own = types[row].nonzero().flatten().tolist()
        chances = logits[row].softmax(0)
        chosen -= float(weights[row]) * sum(math.log(chances[each]) for each in own) / len(own)
    back = 0.0
    for text in (0, 1):
        raised = weights.double() * logits[:, text].exp()
        own = types[:, text].nonzero().flatten().tolist()
        total = float(weights[own].sum())
        back -= sum(float(weights[row]) / total * math.log(raised[row] / raised.sum()) for row in own) / 2
    assert float(match_pictures(embeddings, texts, types, weights, 0.1)) == pytest.approx((chosen + back) / 2, rel=1e-4)
