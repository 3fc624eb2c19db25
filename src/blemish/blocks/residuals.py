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


def ring_numbers(down: Tensor, across: Tensor, height: int, width: int) -> Tensor:
    """How far `place_numbers` of a grid of that size lie from its middle, in places."""
    from_middle = torch.stack([down * height - (height - 1) / 2, across * width - (width - 1) / 2])
    return from_middle.square().sum(0).sqrt()


def matched_reference(
    bank: MemoryBank, places: Tensor, *, count: int = 4, penalty: float = 0.01, sharpness: float = 20.0
) -> Tensor:
    """Of unit places (N, h, w, D) a unit mixture of the nearest rows of a bank with `beside` as `place_numbers`.

    Their weights are the sparsemax of `sharpness` times the cosine less `penalty` times how much farther from the
    middle, or nearer, they lay, in places (Res2CLIP, arXiv:2605.16171, Eq. 8, which mixes all rows, with sharpness 1).
    """
    distance, numbers = bank.nearest(places, count)  # (N, h, w, K)
    many, height, width = places.shape[:3]
    down, across = (each.view(many, height, width, 1) for each in place_numbers(many, height, width, places))
    rows_down, rows_across = map(bank.get_buffer, bank.beside)  # (M,) each
    rings = ring_numbers(rows_down, rows_across, height, width)[numbers]  # (N, h, w, K)
    apart = (ring_numbers(down, across, height, width) - rings).abs()
    weights = sparsemax(sharpness * (1 - distance - penalty * apart))
    return F.normalize(torch.einsum("nhwk,nhwkd->nhwd", weights, bank.rows[numbers]), dim=-1)


def residual_maps(places: Tensor, good: Tensor, toward: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """How far places lie along a direction (D,), how long their residuals are, and how far these go along it.

    places, good: unit vectors (N, h, w, D); three maps (N, h, w), the last not below 0.
    """
    residual, column = places - good, toward[:, None]  # OpenVINO cannot fold a weight into a product with (D,)
    lie, along = ((each @ column).squeeze(-1) for each in (places, residual))
    return lie, residual.norm(dim=-1), F.relu(along)
