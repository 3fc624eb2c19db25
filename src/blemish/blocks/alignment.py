"""Pictures moved towards sentences about them: a residual on their embeddings, learned by contrast."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def principal_axes(rows: Tensor, rank: int) -> Tensor:
    """The strongest axes of rows (M, D) about their mean, so many at most: orthonormal (D, R), R <= min(M, D)."""
    centred = rows - rows.mean(0)
    if len(rows) > rows.shape[1]:
        axes: Tensor = torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -rank:]
        return axes
    lengths, sides = torch.linalg.eigh(centred @ centred.T)
    axes = centred.T @ sides[:, -rank:] / lengths[-rank:].clamp_min(1e-8).sqrt()
    return F.normalize(axes, dim=0)


def match_pictures(embeddings: Tensor, texts: Tensor, types: Tensor, weights: Tensor, temperature: float) -> Tensor:
    """Contrastive loss of unit pictures (M, E) and texts (K, E), both ways, for types, bool (M, K): a scalar.

    Of each picture the cross entropy of choosing its text, by weights (M,) that sum to 1; of each text that has some,
    that of choosing its pictures, which share it by their weights (CLIP's loss, with several positives a text).
    """
    logits = embeddings @ texts.T / temperature
    share = types / types.sum(1, keepdim=True).clamp_min(1)
    chosen = -(weights * (share * logits.log_softmax(1)).sum(1)).sum()
    shown = types.any(0)
    own = (weights[:, None] * types)[:, shown]
    own = own / own.sum(0)
    found: Tensor = chosen - (own * (logits[:, shown] + weights.log()[:, None]).log_softmax(0)).sum(0).mean()
    return found / 2
