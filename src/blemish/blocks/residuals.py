"""What a place has more than the good place that it was matched with."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish.blocks.memory import MemoryBank


def place_numbers(count: int, height: int, width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Of the places of `count` grids, row by row, how far down and across each is: (count h w,) each, in [0, 1]."""
    rows, columns = (torch.arange(length, dtype=like.dtype, device=like.device) / length for length in (height, width))
    down, across = torch.meshgrid(rows, columns, indexing="ij")
    return down.flatten().repeat(count), across.flatten().repeat(count)


def sparsemax(logits: Tensor) -> Tensor:
    """The nearest point of the simplex (Martins & Astudillo, arXiv:1602.02068): (..., K) -> shares (..., K)."""
    ordered = logits.sort(-1, descending=True).values
    number = torch.arange(1, logits.shape[-1] + 1, device=logits.device, dtype=logits.dtype)
    sums = ordered.cumsum(-1) - 1
    last = (ordered * number > sums).sum(-1, keepdim=True)
    return (logits - sums.gather(-1, last - 1) / last).clamp_min(0)


def matched_reference(
    bank: MemoryBank, places: Tensor, *, count: int = 4, penalty: float = 0.01, sharpness: float = 20.0
) -> Tensor:
    """Of unit places (N, h, w, D) a unit mixture of the nearest rows of a bank with `beside` as `place_numbers`.

    Their weights are the sparsemax of `sharpness` times the cosine less `penalty` times how far away they lay, in
    sides of the picture.
    """
    distance, numbers = bank.nearest(places, count)  # (N, h, w, K)
    down, across = place_numbers(places.shape[0], places.shape[1], places.shape[2], places)
    own = (each.view(*places.shape[:3], 1) for each in (down, across))
    lay = (bank.get_buffer(name)[numbers] for name in bank.beside)  # (N, h, w, K) each
    apart = torch.stack([one - other for one, other in zip(own, lay, strict=True)]).norm(dim=0)
    weights = sparsemax(sharpness * (1 - distance - penalty * apart))
    return F.normalize(torch.einsum("nhwk,nhwkd->nhwd", weights, bank.rows[numbers]), dim=-1)


def residual_maps(places: Tensor, good: Tensor, toward: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """How far places lie along a direction (D,), how long their residuals are, and how far these go along it.

    places, good: unit vectors (N, h, w, D); three maps (N, h, w), the last not below 0.
    """
    residual = places - good
    return places @ toward, residual.norm(dim=-1), F.relu(residual @ toward)
