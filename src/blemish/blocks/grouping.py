"""Groups of rows that are alike, however many there are of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.cluster import hierarchy
from scipy.spatial import distance
from torch import Tensor

from blemish.errors import BadInput

LARGEST = 5000
"""Rows that are compared each with each."""


def group_rows(rows: Tensor, count: int | None = None, *, most: int = 12) -> NDArray[np.int64]:
    """The number of each row's group, (M, D) -> (M,), from 0, the largest group first.

    Groups are joined by the mean distance of their members (UPGMA), of unit vectors; without a `count` as many as give
    the highest silhouette (Rousseeuw, 1987), at most `most`. Raises BadInput for more than `LARGEST` rows.
    """
    if len(rows) > LARGEST:
        raise BadInput(f"{len(rows)} defects are too many to group at once: group {LARGEST} at most")
    if len(rows) < 2:
        return np.zeros(len(rows), np.int64)
    apart = distance.pdist(rows.double().numpy(), "cosine")
    tree, square = hierarchy.linkage(apart, "average"), distance.squareform(apart)
    if count is None:
        tries = range(2, min(most, len(rows) - 1) + 1)
        count = max(tries, key=lambda each: silhouette(square, _cut(tree, each)), default=1)
    return _by_size(_cut(tree, count))


def silhouette(apart: NDArray[np.float64], groups: NDArray[np.int64]) -> float:
    """Mean over rows of how much nearer its own group is than the next one, in [-1, 1]; 0 for a group of one row."""
    members = np.eye(groups.max() + 1)[groups]  # (M, G)
    sizes, sums, own = members.sum(0), apart @ members, np.arange(len(groups))
    inside = sums[own, groups] / np.maximum(sizes[groups] - 1, 1)
    means = sums / sizes
    means[own, groups] = np.inf
    outside = means.min(1)
    found = (outside - inside) / np.maximum(np.maximum(inside, outside), 1e-12)
    return float(np.where(sizes[groups] > 1, found, 0).mean())


def _cut(tree: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    return np.asarray(hierarchy.fcluster(tree, count, "maxclust"), np.int64) - 1


def _by_size(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    order = np.argsort(-np.bincount(groups), kind="stable")
    return np.argsort(order, kind="stable")[groups]
