"""Comparing embeddings: one kernel, cosine against a matrix."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def cosine(embeddings: Tensor, rows: Tensor) -> Tensor:
    """Cosine of each embedding with each row: (..., D) x (C, D) -> (..., C), in [-1, 1]."""
    return measure_along(embeddings, F.normalize(rows, dim=-1).T)


def measure_along(embeddings: Tensor, columns: Tensor) -> Tensor:
    """Unit vectors of embeddings times columns: (..., D) x (..., D, C) -> (..., C).

    The unit vectors, of which there may be many, are never written out, neither here nor for the gradient.
    """
    lengths: Tensor = torch.linalg.vector_norm(embeddings, dim=-1, keepdim=True)
    return embeddings @ columns / lengths.clamp_min(1e-12)


def anomaly_probability(embeddings: Tensor, texts: Tensor, temperature: float = 0.07, *, normal: int = 1) -> Tensor:
    """Softmax probability that the text is none of the first `normal` rows: (..., D) x (C, D) -> (...), in [0, 1].

    The sum over the anomalous rows, computed directly: 1 - p(normal) would lose its digits near 0.
    """
    return (cosine(embeddings, texts) / temperature).softmax(-1)[..., normal:].sum(-1)


def text_margin(places: Tensor, texts: Tensor, temperature: float) -> Tensor:
    """By how much the logit of the second text exceeds that of the first: (N, h, w, D), (N or 1, 2, D) -> (N, h, w).

    All are unit vectors. The sigmoid of it is the second text's probability among the two.
    """
    toward = (texts[:, 1] - texts[:, 0])[:, None, :, None]  # (N or 1, 1, D, 1)
    return (places @ toward).squeeze(-1) / temperature
