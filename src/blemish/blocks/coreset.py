"""The few rows that stand for many, so that a memory bank stays small."""

from __future__ import annotations

import torch
from torch import Tensor

LARGEST_BLOCK = 1 << 22
"""Distances held at once: 16 MiB, however many rows there are."""


def coreset(rows: Tensor, count: int, *, generator: torch.Generator, width: int = 128, starts: int = 10) -> Tensor:
    """Numbers of `count` rows of (M, D), greedily each the farthest from those chosen before (PatchCore, Alg. 1).

    Distances are taken after a random projection to `width` dimensions, and at first to the mean of `starts` random
    rows, as the authors' approximate sampler does.
    """
    rows = project(rows, width, generator)
    chosen = torch.randint(len(rows), (min(starts, len(rows)),), generator=generator)
    first = torch.stack([torch.linalg.vector_norm(rows - rows[number], dim=1) for number in chosen.tolist()]).mean(0)
    return greedy_k_center(rows, min(count, len(rows)), first)


def project(rows: Tensor, width: int, generator: torch.Generator) -> Tensor:
    """Rows (M, D) in at most `width` random dimensions, which keeps their distances to about `width` ** -0.5."""
    if rows.shape[1] <= width:
        return rows
    projection = torch.randn(rows.shape[1], width, generator=generator).to(rows)
    lower: Tensor = rows @ (projection * width**-0.5)
    return lower


def greedy_k_center(rows: Tensor, count: int, gap: Tensor, *, reach: float = 0.0, pool: int = 4096) -> Tensor:
    """Numbers of `count` rows, each the one whose `gap` (distance to the chosen) is largest; `gap` (M,) is the start.

    Fewer where every row is nearer than `reach` to a chosen one before that, or was at the start. Exact, in few passes:
    among the `pool` rows of largest gap, greedy choice is the choice among all rows as long as the chosen gap is not
    below that of the rows left out. Then all rows are updated by one matrix product.
    """
    chosen = [torch.empty(0, dtype=torch.long, device=rows.device)]
    rows = rows - rows.mean(0)  # distances stay, and the products that they are taken from below keep their digits
    gap = gap.square()
    nearest = reach**2 if reach > 0 else -torch.inf  # the gaps of equal rows round to a little less than 0
    while (missing := count - sum(map(len, chosen))) > 0:
        candidates = gap.topk(min(pool, len(rows)))
        if float(candidates.values[0]) < nearest:
            break
        floor = max(float(candidates.values[-1]), nearest)
        picks = _greedy(rows[candidates.indices], candidates.values, floor, missing)
        chosen.append(candidates.indices[picks])
        _shrink(gap, rows, chosen[-1])
    return torch.cat(chosen)


def _greedy(rows: Tensor, gap: Tensor, floor: float, count: int) -> Tensor:
    """Greedy choice among (m, D) rows with squared gaps, while the largest gap is not below the floor."""
    picks: list[int] = []
    gap, apart = gap.clone(), torch.empty_like(rows)  # one buffer: thousands of passing ones would break up the heap
    for _ in range(count):
        value, pick = (found.item() for found in gap.max(0))
        if picks and value < floor:
            break
        picks.append(int(pick))
        torch.sub(rows, rows[picks[-1]], out=apart)
        torch.minimum(gap, apart.square_().sum(1), out=gap)
        gap[picks[-1]] = -torch.inf  # never twice, also among identical rows
    return torch.tensor(picks, device=rows.device)


def _shrink(gap: Tensor, rows: Tensor, numbers: Tensor) -> None:
    """gap <- min(gap, squared distance to the nearest new centre), in place; a centre's own gap becomes -infinite."""
    centres = rows[numbers]
    step = max(1, LARGEST_BLOCK // len(centres))
    offset = centres.square().sum(1)
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        nearest = torch.addmm(offset, block, centres.T, alpha=-2).amin(1) + block.square().sum(1)
        gap[start : start + step] = torch.minimum(gap[start : start + step], nearest)
    gap[numbers] = -torch.inf
