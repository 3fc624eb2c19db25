"""Sums of features from which means and covariances follow, so that examples can be added and left out."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor

from blemish.blocks.learned import Learned


class Moments(NamedTuple):
    """Sums over features in float64, where a large mean costs no digits: they can be added up."""

    number: Tensor  # of examples, ()
    first: Tensor  # (..., C)
    second: Tensor  # of the products, (..., C, C)


def moments(rows: Tensor) -> Moments:
    """Sums over the first axis of features (n, ..., C)."""
    rows = rows.double()
    number = torch.tensor(float(len(rows)), dtype=torch.float64, device=rows.device)
    return Moments(number, rows.sum(0), torch.einsum("n...i,n...j->...ij", rows, rows))


class Merged(Learned):
    """Sums over pictures that are no longer kept apart: what they taught stays and cannot be taken back."""

    def __init__(self) -> None:
        super().__init__(*Moments._fields, dtype=torch.float64)

    def plus(self, parts: Iterable[Moments]) -> Moments:
        """These sums and then each of the others, from left to right: merging the first of them changes no digit."""
        start = [Moments(*(self.get_buffer(name) for name in Moments._fields))] if self.fitted else []
        return reduce(lambda sums, part: Moments(*map(torch.add, sums, part)), chain(start, parts))

    def merge(self, parts: Iterable[Moments]) -> None:
        """Take these in for good."""
        self.store(self.plus(parts)._asdict())


def settled(sums: Moments) -> tuple[Tensor, Tensor]:
    """Mean (..., C) and unbiased covariance (..., C, C) in float64; a single example has covariance 0."""
    mean = sums.first / sums.number
    scatter = sums.second - sums.number * mean.unsqueeze(-1) * mean.unsqueeze(-2)
    return mean, scatter / (sums.number - 1).clamp_min(1)
