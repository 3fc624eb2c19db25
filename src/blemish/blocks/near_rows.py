"""A number that stands beside the rows of a bank, read where a query lies."""

from __future__ import annotations

import torch
from torch import Tensor

from blemish.blocks.memory import MemoryBank

TIE = 2e-4
"""How much farther than the nearest, in cosines, a row must be to say nothing of a query; rounding moves it by 1e-7."""
NEAR = 4
"""Of so many rows the farthest says nothing either. More are seldom as near as `TIE`."""


def read_nearest(bank: MemoryBank, query: Tensor, name: str) -> tuple[Tensor, Tensor]:
    """Distance to the nearest row, and the number of that name beside it: (..., D) -> (...), (...).

    Which of two rows is the nearest is a matter of rounding where they are equally near. So the number is a mean of
    those beside the nearest rows, which weigh (1 - d / reach)^2, d being by how much a row is farther than the
    nearest: cosine; half the squares' difference of Euclidean distances. The reach is `TIE`, or that of the farthest
    of `NEAR` rows if that is nearer: it weighs nothing, so that nothing jumps where another takes its place, whatever
    rows tie.
    """
    distances, numbers = bank.nearest(query, NEAR)
    query = bank.place(query)
    first, *others = (bank.rows[each] for each in numbers.unbind(-1))  # (..., D) each
    # Squares are rounded by more than rows that tie differ; (b - a) * (b + a) / 2 is their difference.
    behind = [((each - first) * ((each + first) / 2 - query)).sum(-1) for each in others]
    gaps = torch.stack([torch.zeros_like(distances[..., 0]), *behind], -1)
    weights = _weigh(gaps - gaps.amin(-1, keepdim=True), all_there_are=len(bank.rows) <= NEAR)
    return distances.amin(-1), (weights * bank.get_buffer(name)[numbers]).sum(-1)


def _weigh(gaps: Tensor, *, all_there_are: bool) -> Tensor:
    """Shares (..., k) of rows by how much each is farther than the nearest: see `read_nearest`."""
    farthest = gaps.amax(-1, keepdim=True).clamp_min(torch.finfo(gaps.dtype).tiny)
    reach = torch.full_like(farthest, TIE) if all_there_are else farthest.clamp_max(TIE)
    weights = (1 - gaps / reach).clamp_min(0).square()
    return weights / weights.sum(-1, keepdim=True)
