"""Sums of features from which means and covariances follow, so that pictures can be added and left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from blemish.blocks.learned import Learned, double
from blemish.blocks.rows import Rows


class Moments(NamedTuple):
    """Sums over features in float64, where a large mean costs no digits: they can be added up."""

    number: Tensor  # of examples, ()
    first: Tensor  # (..., C)
    second: Tensor  # of the products, (..., C, C)


def moments(rows: Tensor) -> Moments:
    """Sums over the first axis of features (n, ..., C)."""
    rows = double(rows)
    number = torch.tensor(float(len(rows)), dtype=torch.float64, device=rows.device)
    return Moments(number, rows.sum(0), torch.einsum("n...i,n...j->...ij", rows, rows))


def moments_of_each(number: Tensor, first: Tensor, second: Tensor) -> Moments:
    """Sums over pictures whose own are the rows of (n,), (n, ..., C) and (n, ..., C, C)."""
    return Moments(number.sum(0), first.sum(0), second.sum(0))


def mean_and_covariance(sums: Moments) -> tuple[Tensor, Tensor]:
    """Mean (..., C) and unbiased covariance (..., C, C) in float64; a single example has covariance 0."""
    mean = sums.first / sums.number
    scatter = sums.second - sums.number * mean.unsqueeze(-1) * mean.unsqueeze(-2)
    return mean, scatter / (sums.number - 1).clamp_min(1)


class Sums(nn.Module):
    """Sums over pictures: what each taught by itself, and the sums over those that were absorbed.

    add_up: sums of `together` pictures by their rows. Rows are added up from the first in steps of so many, so that it
        makes no difference to any digit which of them were absorbed before.
    """

    def __init__(self, *layouts: str, dtype: torch.dtype, add_up: Callable[..., Moments], together: int = 1) -> None:
        super().__init__()
        self.kept = Learned(*layouts, dtype=dtype)
        self.absorbed = Learned(*Moments._fields, dtype=torch.float64)
        self.add_up, self.together = add_up, together

    @property
    def fitted(self) -> bool:
        """Whether there is anything to sum up."""
        return self.kept.fitted or self.absorbed.fitted

    def rows(self) -> Rows:
        """Those of pictures that are kept apart."""
        return tuple(self.kept.buffers())

    def keep(self, rows: Rows) -> None:
        """Keep these apart, and no others."""
        self.kept.store(dict(zip(self.kept.layout, rows, strict=True))) if len(rows[0]) else self.kept.forget()

    def absorb(self, rows: Rows) -> int:
        """Add up as many of the first rows as make whole steps; returns how many."""
        count = len(rows[0]) // self.together * self.together
        if count:
            self.absorbed.store(self._total(tuple(tensor[:count] for tensor in rows))._asdict())
        return count

    def total(self) -> Moments:
        """Over all pictures."""
        return self._total(self.rows() if self.kept.fitted else ())

    def forget(self) -> None:
        """Back to the state before anything was learned."""
        self.kept.forget()
        self.absorbed.forget()

    def _total(self, rows: Rows) -> Moments:
        steps = self._steps(rows)
        total = Moments(*map(torch.clone, self.absorbed.buffers())) if self.absorbed.fitted else next(steps)
        for step in steps:
            for sums, more in zip(total, step, strict=True):
                sums += more  # in place: of grids they are large
        return total

    def _steps(self, rows: Rows) -> Iterator[Moments]:
        here = next(self.buffers()).device
        return map(self.add_up, *(tensor.to(here).split(self.together) for tensor in rows)) if rows else iter(())
