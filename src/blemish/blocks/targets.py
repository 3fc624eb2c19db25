"""What a batch says of its pictures, as numbers for losses on a grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish.types import GOOD, Batch


class Targets(NamedTuple):
    """Of each picture of a batch; what is not labelled is good."""

    truth: Tensor  # (N, h, w), 0 or 1: where the defects are, of those whose masks are known
    known: Tensor  # bool (N,): whose truth that is
    bad: Tensor  # bool (N,)
    numbers: Tensor  # int64 (N,): 0 for good, 1 and more for a type that is asked for, -1 for any other defect
    made: Tensor  # bool (N,): a defect that nobody named, as those that were made


def targets_of(batch: Batch, size: Sequence[int], types: Sequence[str]) -> Targets:
    """The batch's own at a grid of a size (h, w); `types` are those that are asked for, in their order."""
    count, device = len(batch), batch.images.device
    truth = torch.zeros(count, *size, device=device)
    if batch.masks is not None:
        truth = (F.interpolate(batch.masks[:, None].float(), list(size), mode="area")[:, 0] >= 0.5).float()
        truth = torch.maximum(truth, _touched(batch.masks, truth))
    bad = truth.flatten(1).any(1) if batch.labels is None else batch.labels
    known = ~bad if batch.masks is None else torch.ones_like(bad) if batch.known is None else batch.known
    named = batch.types or ("",) * count
    order = {GOOD: 0} | {name: 1 + at for at, name in enumerate(types)}
    numbers = torch.tensor([order.get(name, -1) for name in named], device=device)
    made = bad & torch.tensor([not name for name in named], device=device)
    return Targets(truth, known, bad, torch.where(bad, numbers, 0), made)


def _touched(masks: Tensor, truth: Tensor) -> Tensor:
    """Of masks too small to cover half of a cell, the cells that they touch."""
    small = (truth.flatten(1).sum(1) == 0)[:, None, None]
    return F.adaptive_max_pool2d(masks[:, None].float(), truth.shape[1:])[:, 0] * small


def with_made(targets: Targets, rows: Tensor, places: Tensor) -> Targets:
    """And after them, of copies of good pictures (M,), defects that were made at `places` (M, h, w), 0 or 1."""
    bad = places.flatten(1).any(1)
    more = Targets(places, torch.ones_like(bad), bad, torch.where(bad, -1, targets.numbers[rows]), bad)
    return Targets(*(torch.cat(pair) for pair in zip(targets, more, strict=True)))
