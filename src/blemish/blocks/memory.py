"""A bank of normal features, searched exactly."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish.blocks.faiss_index import exact_index
from blemish.blocks.learned import Learned
from blemish.blocks.maps import upsample
from blemish.blocks.rows import Rows
from blemish.errors import BadInput

BLOCK = 1 << 19
"""Distances held at once, whatever the bank's and the query's size: 2 MiB, which a processor's cache holds."""
ROWS_IN_GRAPH = 1 << 14
"""Rows of a bank that a graph compares at once."""
FEW = 8
"""Rows to find for each query, up to which it is quicker to look first whether a block has any."""

Metric = Literal["cosine", "euclidean"]
Search = Literal["torch", "faiss"]


class MemoryBank(Learned):
    """Rows (M, D) of normal features, unit vectors with the cosine metric, and `beside`: numbers (M,) of each row."""

    rows: Tensor
    norms: Tensor  # (M,), squared

    def __init__(self, metric: Metric = "cosine", *, search: Search = "torch", beside: Sequence[str] = ()) -> None:
        super().__init__("rows: M D", "norms: M", *(f"{name}: M" for name in beside))
        if metric not in ("cosine", "euclidean") or search not in ("torch", "faiss"):
            raise BadInput(f"metric {metric!r}, search {search!r}: choose cosine or euclidean, torch or faiss")
        self.metric: Metric = metric
        self.search: Search = search
        self.beside = tuple(beside)
        self._index: tuple[Tensor, Any] | None = None  # faiss's, and the rows it was made from

    def hold(self, *rows: Tensor) -> None:
        """Replace the bank by features (M, D), unit vectors already if they must be, and the numbers beside them."""
        features, *numbers = rows
        if not len(features):
            self.forget()
            return
        named = dict(zip(self.beside, numbers, strict=True))
        self.store({"rows": features, "norms": features.square().sum(1), **named})

    def recall(self) -> Rows:
        """The rows, and the numbers beside them."""
        return (self.rows, *map(self.get_buffer, self.beside))

    def place(self, query: Tensor) -> Tensor:
        """What of a query (..., C) is compared with the rows: (..., D)."""
        return F.normalize(query, dim=-1) if self.metric == "cosine" else query

    def nearest(self, query: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
        """Distances to the k nearest rows, nearest first, and their numbers: (..., D) -> (..., k), (..., k).

        Cosine: 1 - cos, in [0, 2]. Euclidean: in feature units. Raises NotFitted when the bank is empty.
        """
        self.require()
        k = min(k, len(self.rows))
        flat = self.place(query.reshape(-1, query.shape[-1]))
        numbers = self._ask_faiss(flat, k) if self._asks_faiss else _search(flat, self.rows, self.norms, k)
        # The search ranks by |r|^2 - 2 q.r, which cancels for close rows; distances are taken from differences.
        distances = torch.stack([torch.linalg.vector_norm(flat - self.rows[n], dim=1) for n in numbers.T], -1)
        distances = distances.square() / 2 if self.metric == "cosine" else distances
        shape = (*query.shape[:-1], k)
        return distances.view(shape), numbers.view(shape)

    def distance(self, query: Tensor, *, share: float | None = None) -> Tensor:
        """Distance to the nearest row: (..., D) -> (...).

        share: instead the mean distance to so many of the rows, at least one, without the nearest of all: that is the
            query itself where it is one of them.
        """
        if share is None:
            return self.nearest(query)[0].squeeze(-1)
        count = max(1, ceil(share * len(self.rows)))
        return self.nearest(query, count + 1)[0][..., -count:].mean(-1)

    @property
    def _asks_faiss(self) -> bool:
        return self.search == "faiss" and not torch.compiler.is_exporting()

    def _ask_faiss(self, query: Tensor, k: int) -> Tensor:
        if self._index is None or self._index[0] is not self.rows:
            self._index = self.rows, exact_index(self.rows)
        return torch.from_numpy(self._index[1].search(query.cpu().numpy(), k)[1]).to(query.device)


def _search(query: Tensor, rows: Tensor, norms: Tensor, k: int) -> Tensor:
    """Numbers of the k nearest rows: (Q, D) x (M, D) -> (Q, k), over blocks of both; in a graph, of the rows."""
    if torch.compiler.is_exporting():  # which does not know how many are asked about
        return _search_block(query, rows, norms, k, max(k, ROWS_IN_GRAPH))
    height = max(1, min(len(query), 1024))
    width, parts = max(k, BLOCK // height), torch.split(query, height)
    if k <= FEW and query.device.type == "cpu":
        return torch.cat([_search_nearest(part, rows, norms, k, width) for part in parts])
    return torch.cat([_search_block(part, rows, norms, k, width) for part in parts])


def _search_nearest(query: Tensor, rows: Tensor, norms: Tensor, k: int, width: int) -> Tensor:
    """Numbers of the k nearest rows, (Q, k): where they lie in a block is asked only of those that it brings nearer."""
    best, numbers = query.new_full((len(query), k), torch.inf), query.new_zeros((len(query), k), dtype=torch.int64)
    for start in range(0, len(rows), width):
        ranks = torch.addmm(norms[start : start + width], query, rows[start : start + width].T, alpha=-2)
        nearer = (ranks.amin(1) < best[:, -1]).nonzero()[:, 0]
        values, found = _lowest(ranks[nearer], k)
        best[nearer], order = torch.cat([best[nearer], values], 1).topk(k, largest=False)
        numbers[nearer] = torch.cat([numbers[nearer], found + start], 1).gather(1, order)
    return numbers


def _search_block(query: Tensor, rows: Tensor, norms: Tensor, k: int, width: int) -> Tensor:
    best, numbers = query[:, :0], query[:, :0].long()
    for start in range(0, len(rows), width):
        ranks = torch.addmm(norms[start : start + width], query, rows[start : start + width].T, alpha=-2)
        values, found = _lowest(ranks, k)
        best, order = torch.cat([best, values], 1).topk(min(k, best.shape[1] + values.shape[1]), largest=False)
        numbers = torch.cat([numbers, found + start], 1).gather(1, order)
    return numbers


def _lowest(ranks: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k lowest of each row, lowest first, or all of them, and where they are."""
    return ranks.min(1, keepdim=True) if k == 1 else ranks.topk(min(k, ranks.shape[1]), largest=False)


def sum_distances(
    banks: Sequence[MemoryBank], layers: Sequence[Tensor], size: Sequence[int], *, share: float | None = None
) -> Tensor:
    """Of each layer's places (N, h, w, C_l) to its bank, see `MemoryBank.distance`, enlarged: (N, *size)."""
    found = [bank.distance(each, share=share) for bank, each in zip(banks, layers, strict=True)]  # (N, h, w)
    return torch.stack([upsample(each, size, corners=True) for each in found]).sum(0)
