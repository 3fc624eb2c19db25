"""Examples of types as a classifier learns them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish.types import TypedExamples


def spread_views(examples: TypedExamples) -> tuple[Tensor, Tensor]:
    """Each view a row: (M * V, D), and its types, bool (M * V, K)."""
    views = examples.seen.shape[1]
    return examples.seen.flatten(0, 1), examples.types.repeat_interleave(views, 0)


def even_weights(types: Tensor) -> Tensor:
    """Weights of rows with types (M, K), bool, that sum to 1: every type counts alike, and to have none as one more."""
    rows, columns = types.nonzero(as_tuple=True)  # of 10,000 types hardly one is a row's
    none = torch.bincount(rows, minlength=len(types)) == 0
    each = (none / none.sum().clamp_min(1)).index_add(0, rows, 1 / count_types(types)[columns])
    return each / each.sum()


def count_types(types: Tensor) -> Tensor:
    """How many rows have each type: bool (M, K) -> (K,).

    As their sum, which takes eight times the memory of the table, and of 10,000 types that is much.
    """
    return torch.bincount(types.nonzero(as_tuple=True)[1], minlength=types.shape[1])


def type_means(rows: Tensor, types: Tensor) -> Tensor:
    """The mean row of each type: (M, D), bool (M, K) -> (K, D); 0 for a type without an example."""
    share = types.to(rows) / count_types(types).clamp_min(1)
    return share.T @ rows


def type_errors(logits: Tensor, types: Tensor, *, several: bool) -> Tensor:
    """Cross entropy of logits (M, K) with types, bool (M, K): (M,); of several each type's own, summed over types."""
    targets = types.to(logits)
    if several:
        return F.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(1)
    return F.cross_entropy(logits, targets / targets.sum(1, keepdim=True).clamp_min(1), reduction="none")


def first_examples(types: Tensor, most: int, *, rows: int = 20_000) -> Tensor:
    """Numbers of the first examples of each type, bool (M, K), so many at most: ascending (R,).

    Of very many types there are fewer, `rows` in all. One of several types is an example of the first of them.
    """
    numbers = types.view(torch.uint8).argmax(1)
    order = numbers.argsort(stable=True)
    dealt = numbers[order]
    place = torch.arange(len(order), device=order.device) - torch.searchsorted(dealt, dealt)
    return order[place < min(most, max(1, rows // types.shape[1]))].sort().values


def familiarity(rows: Tensor, known: Tensor, *, near: int = 3) -> Tensor:
    """Mean cosine of unit rows (N, D) with the nearest of those known (R, D): (N, 1), low of what nobody showed."""
    found: Tensor = (rows @ known.T).topk(min(near, len(known))).values.mean(1, keepdim=True)
    return found
