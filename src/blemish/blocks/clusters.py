"""Groups of like features, and what they say together."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def kmeans(rows: Tensor, count: int, *, rounds: int = 10) -> Tensor:
    """The number of each row's group: (M, D) -> int64 (M,), by Lloyd's rounds.

    Nothing is drawn: the groups begin at the first row and at those that lie farthest from all before them.
    """
    gap, centres = rows.new_full((len(rows),), torch.inf), list[Tensor]()
    for _ in range(min(count, len(rows))):
        centres.append(rows.gather(0, gap.argmax().expand(1, rows.shape[1]))[0])
        gap = torch.minimum(gap, (rows - centres[-1]).square().sum(1))
    found = torch.stack(centres)
    for _ in range(rounds):
        members = F.one_hot(torch.cdist(rows, found).argmin(1), len(found)).to(rows)  # (M, K)
        sizes = members.sum(0)[:, None]
        found = torch.where(sizes > 0, members.T @ rows / sizes.clamp_min(1), found)
    return torch.cdist(rows, found).argmin(1)


def pool_clusters(layers: Tensor, scores: Tensor, count: int, *, members: int = 5) -> Tensor:
    """The mean over groups of the mean features of the highest places, a unit vector: (N, P, L, D), (N, P) -> (N, D).

    The `count` * `members` places of highest score are grouped by what all layers say of each, so that a large defect
    does not outweigh a small one (hybrid semantic fusion of AdaCLIP, arXiv:2407.15795).
    """
    top = scores.topk(min(scores.shape[1], count * members)).indices  # (N, M)
    chosen = layers.gather(1, top[:, :, None, None].expand(-1, -1, *layers.shape[2:]))  # (N, M, L, D)
    means = []
    for picture in chosen:
        group = F.one_hot(kmeans(picture.detach().flatten(1), count), count).to(picture)  # (M, K)
        size = group.sum(0)[:, None]
        centres = group.T @ picture.mean(1) / size.clamp_min(1)  # (K, D), 0 where nothing belongs to it
        means.append(centres.sum(0) / (size > 0).sum())
    return F.normalize(torch.stack(means), dim=-1)


def subtract_group_means(logits: Tensor, places: Tensor, count: int, *, share: float) -> Tensor:
    """Logits (N, h, w) less a share of the mean logit of the group of each place, by k-means of (N, h, w, D)."""
    found = []
    for own, rows in zip(logits.flatten(1), places.flatten(1, 2), strict=True):
        members = F.one_hot(kmeans(rows, count), count).to(own)  # (P, K)
        found.append(own - share * members @ (members.T @ own / members.sum(0).clamp_min(1)))
    return torch.stack(found).view_as(logits)
