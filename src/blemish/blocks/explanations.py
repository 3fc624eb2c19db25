"""Where a network looked: maps of what in a picture made a score."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from blemish.types import Classifier


def grad_cam(places: Tensor, slopes: Tensor) -> Tensor:
    """What places (N, h, w, C) add to a score whose gradient by them is `slopes`: (N, h, w), 0 or more.

    Channels are weighed by the mean of their gradient over the picture (Selvaraju et al., arXiv:1610.02391, Eq. 1, 2).
    """
    return torch.einsum("nhwc,nc->nhw", places, slopes.mean((1, 2))).clamp_min(0)


@torch.enable_grad()
def explain_types(classifier: Classifier, places: Tensor, weights: Tensor | None = None) -> Tensor:
    """`grad_cam` of each type of a classifier, of its `places` (N, h, w, C): (N, K, h, w).

    weights: (N, h, w), of a region, beside which all is 0; none: of the whole picture. Of a picture's embedding, which
    has no places, nothing is explained.
    """
    seen = places.detach().requires_grad_()
    logits = classifier(classifier.gather(seen, seen.new_ones(seen.shape[:3]) if weights is None else weights)[:, None])
    slopes = [torch.autograd.grad(each.sum(), seen, retain_graph=True)[0] for each in logits.unbind(1)]
    found = torch.stack([grad_cam(seen.detach(), each) for each in slopes], 1)
    return found if weights is None else found * (weights > 0)[:, None]


def attention_rollout(attentions: Sequence[Tensor]) -> Tensor:
    """How much each token of the last block is of each that entered the first: (N, heads, T, T) a block -> (N, T, T).

    Half of a token is what its block attended to, the mean over heads, and half itself (Abnar & Zuidema,
    arXiv:2005.00928).
    """
    first, *rest = [(each.mean(1) + torch.eye(each.shape[-1]).to(each)) / 2 for each in attentions]
    for each in rest:
        first = each @ first
    return first


def roll_out_places(attentions: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
    """`attention_rollout` of what a picture's embedding is made of, at the grid of its patches: (N, h, w).

    That is the first token or, where there are patches alone, the mean of all.
    """
    rolled = attention_rollout(attentions)
    lead = rolled.shape[-1] - size[0] * size[1]
    row = rolled[:, 0] if lead else rolled.mean(1)
    grid: Tensor = row[:, lead:].unflatten(1, size)
    return grid
