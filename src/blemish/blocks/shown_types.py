"""Examples of types as a classifier learns them."""

from __future__ import annotations

import torch
from torch import Tensor

from blemish.types import TypedExamples


def spread_views(examples: TypedExamples) -> tuple[Tensor, Tensor]:
    """Each view a row: (M * V, D), and its types, bool (M * V, K)."""
    views = examples.seen.shape[1]
    return examples.seen.flatten(0, 1), examples.types.repeat_interleave(views, 0)


def even_weights(types: Tensor) -> Tensor:
    """Weights of rows with types (M, K), bool, that sum to 1: every type counts alike, and to have none as one more."""
    none = ~types.any(1, keepdim=True)
    every = torch.cat([types, none], 1).float()
    each = (every / every.sum(0).clamp_min(1)).sum(1)
    return each / each.sum()


def type_means(rows: Tensor, types: Tensor) -> Tensor:
    """The mean row of each type: (M, D), bool (M, K) -> (K, D); 0 for a type without an example."""
    share = types.to(rows) / types.sum(0).clamp_min(1)
    return share.T @ rows
