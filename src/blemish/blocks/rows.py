"""Patches of many batches as the rows of one matrix."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from blemish.errors import BadInput


def concatenate(batches: Iterable[Tensor]) -> Tensor:
    """All features of batches of (..., D), one below the other: (M, D). Raises BadInput when there are none."""
    rows = [batch.flatten(0, -2) for batch in batches]
    if not sum(map(len, rows)):
        raise BadInput("there is no normal feature to remember: fit() received no images")
    return torch.cat(rows)
