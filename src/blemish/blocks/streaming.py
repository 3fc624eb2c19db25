"""A bank that grows in bounded memory: a cover of the rows of a stream, at a cost that is linear in their number.

The idea is that of Charikar, Chekuri, Feder & Motwani, "Incremental clustering and dynamic information retrieval",
STOC 1997: what is near to what stays is left out, and a full memory is thinned. Deviation: the radius becomes what
greedy k-center (PatchCore's choice) reaches and is not doubled: features lie at such even distances that after one
doubling a few rows would cover them all.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from blemish.blocks.coreset import greedy_k_center, project
from blemish.blocks.memory import MemoryBank


class Cover(NamedTuple):
    """Which rows stay, and the radius of the last thinning; 0 as long as all stay."""

    numbers: Tensor  # ascending
    radius: float


def cover_rows(rows: Tensor, known: int, limit: int, radius: float, *, width: int = 128, seed: int = 0) -> Cover:
    """At most `limit` of the rows (M, D) that stand for all; the first `known` are an earlier cover of that `radius`.

    As long as nothing had to go, everything stays. Later a new row stays if it is farther than the radius from those
    that stay. Too many are thinned to 7/8 of the limit, so that comes once in `limit` / 8 new rows at most, and a
    stream costs its number of rows times `limit`. A thinning leaves every row within a radius that is at most twice
    what any choice of as many rows could reach; every row ever given lies within the sum of the radii of all thinnings
    of one that stays. Distances are those of a random projection to `width` dimensions.
    """
    numbers = torch.arange(len(rows), device=rows.device)
    if radius == 0 and len(rows) <= limit:
        return Cover(numbers, radius)
    flat = project(rows.flatten(1).float(), width, torch.Generator().manual_seed(seed))
    if radius > 0:
        numbers = torch.cat([numbers[:known], known + _novel(flat[:known], flat[known:], radius)])
    if len(numbers) <= limit:
        return Cover(numbers, radius)
    flat = flat[numbers]
    anywhere = torch.full((len(flat),), torch.inf, device=flat.device)
    stays = torch.zeros(len(flat), dtype=torch.bool, device=flat.device)
    stays[greedy_k_center(flat, max(1, limit * 7 // 8), anywhere)] = True
    return Cover(numbers[stays], max(radius, covering_radius(flat[~stays], flat[stays])))


def covering_radius(rows: Tensor, bank: Tensor) -> float:
    """The greatest distance of a row (M, D) to the nearest of (K, D): the radius within which the bank covers them."""
    return float(_distances(rows, bank).max()) if len(rows) else 0.0


def _novel(known: Tensor, rows: Tensor, radius: float) -> Tensor:
    """Numbers, ascending, of rows that are farther than the radius from the known ones and from each other."""
    if not len(rows):
        return torch.empty(0, dtype=torch.long, device=rows.device)
    return greedy_k_center(rows, len(rows), _distances(rows, known), reach=radius).sort().values


def _distances(rows: Tensor, bank: Tensor) -> Tensor:
    memory = MemoryBank("euclidean")
    memory.hold(bank)
    return memory.distance(rows)
