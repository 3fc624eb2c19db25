"""Examples as keys and their types as values (Tip-Adapter, arXiv:2207.09519), and views that are asked one by one."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def cache_votes(affinities: Tensor, values: Tensor, beta: float) -> Tensor:
    """exp(-beta (1 - affinity)) of each key (..., M), times its value: values (M, K) -> (..., K)."""
    return (-beta * (1 - affinities)).exp() @ values


def even_values(types: Tensor) -> Tensor:
    """Values of keys with types (M, K), bool, of which every type has as much: 1 each where all have as many keys."""
    count = types.sum(0)
    return types * (count.sum() / len(count) / count.clamp_min(1))


def fuse_views(logits: Tensor) -> Tensor:
    """Log probabilities (N, K) of logits (N, V, K): each view counts as much as it is sure, 1 - H(p) / log K (MVREC).

    Where no view is surer than chance all count alike.
    """
    said = logits.log_softmax(-1)
    if said.shape[-1] == 1:
        return said.mean(1)
    doubt = -(said.exp() * said).sum(-1) / torch.tensor(said.shape[-1]).log()  # (N, V)
    sure = (1 - doubt).clamp_min(0)
    sure = torch.where(sure.sum(1, keepdim=True) > 1e-6, sure, 1.0)
    return (F.normalize(sure, p=1, dim=1).log()[..., None] + said).logsumexp(1)
