"""Rows and places that speak for their neighbours, and rows that are assigned together."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

CHUNK_OF_ROWS = 1024
"""Rows that are compared with all others at once."""


def diffuse(rows: Tensor, *, neighbours: int, alpha: float, hops: int, temperature: float = 0.1) -> Tensor:
    """Unit vectors (M, D) that `hops` times became 1 - alpha of themselves and alpha of the mean of their neighbours.

    x <- normalised((1 - alpha) x_0 + alpha sum_n w_n x_n): n are the nearest of the first, w their softmax of
    cos / temperature.
    """
    first = F.normalize(rows, dim=-1)
    most = min(neighbours, len(rows) - 1)
    if not most:
        return first
    near = [_nearest(first, part, most) for part in torch.arange(len(rows), device=rows.device).split(CHUNK_OF_ROWS)]
    likeness, numbers = (torch.cat(each) for each in zip(*near, strict=True))
    weights, found = (likeness / temperature).softmax(1), first
    for _ in range(hops):
        parts = zip(weights.split(CHUNK_OF_ROWS), numbers.split(CHUNK_OF_ROWS), strict=True)
        told = torch.cat([torch.einsum("mk,mkd->md", weight, found[number]) for weight, number in parts])
        found = F.normalize((1 - alpha) * first + alpha * told, dim=-1)
    return found


def patch_graph(places: Tensor, neighbours: int) -> Tensor:
    """D^-1/2 (A + I) D^-1/2 of the graph of each picture's places, unit vectors (N, P, D): (N, P, P).

    A place is joined with its nearest ones, and with those whose nearest it is (Kipf & Welling, arXiv:1609.02907).
    """
    count = places.shape[1]
    itself = torch.eye(count, device=places.device, dtype=places.dtype)
    near = (places @ places.mT - 2 * itself).topk(min(neighbours, count - 1), -1).indices  # (N, P, k)
    joined = torch.zeros_like(itself).expand(places.shape[0], -1, -1).scatter(2, near, 1.0)
    edges = torch.maximum(joined, joined.mT) + itself
    lengths = edges.sum(-1).rsqrt()
    return lengths[:, :, None] * edges * lengths[:, None]


def propagate(graph: Tensor, places: Tensor, first: Tensor, residual: float) -> Tensor:
    """1 - `residual` of what neighbours have and `residual` of what a place had first: (N, P, P), (N, P, D) each.

    The initial residual keeps deep graphs from making all places alike (GCNII, arXiv:2007.02133).
    """
    return (1 - residual) * graph @ places + residual * first


def _nearest(rows: Tensor, part: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Cosines and numbers (m, count) of the nearest others of numbered rows."""
    likeness = rows[part] @ rows.T
    likeness[torch.arange(len(part), device=rows.device), part] = -torch.inf
    found = likeness.topk(count, 1)
    return found.values, found.indices


def assign(logits: Tensor, prior: Tensor, *, strength: float, rounds: int = 50) -> Tensor:
    """Log shares (N, K) of rows that sum to 1, whose columns are drawn to N times the prior (K,): optimal transport.

    Sinkhorn's iteration of the plan exp(logits). strength: 1 is a column of just that sum, 0 the softmax of each row,
    between them the sum is relaxed (Chizat et al., arXiv:1607.05816).
    """
    wanted = (prior / prior.sum() * len(logits)).log()
    pull = torch.zeros_like(wanted)
    for _ in range(rounds):
        shares = (logits + pull).log_softmax(1)
        pull = strength * (pull + wanted - shares.logsumexp(0))
    return (logits + pull).log_softmax(1)
