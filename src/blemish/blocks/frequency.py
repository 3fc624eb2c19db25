"""Grids of features in frequencies: the cosine transform of blocks, its bands, and adapters that change both."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.blocks.adapters import Bottleneck


def cosine_matrix(size: int, like: Tensor) -> Tensor:
    """The orthonormal DCT-II: row k is the cosine of k half periods, (size, size). Its transpose is its inverse."""
    place = torch.arange(size, dtype=like.dtype, device=like.device)
    waves = torch.cos(math.pi / size * (place + 0.5) * place[:, None]) * (2 / size) ** 0.5
    return torch.cat([waves[:1] / 2**0.5, waves[1:]])


def to_blocks(grid: Tensor, size: int) -> Tensor:
    """(N, h, w, C) -> cosine coefficients of its size x size blocks, (N, h', w', size, size, C).

    Where its sides are no multiples of the size, the last row and column are repeated.
    """
    down, across = (-length % size for length in grid.shape[1:3])
    padded = F.pad(grid.movedim(-1, 1), (0, across, 0, down), mode="replicate").movedim(1, -1)
    parts = padded.unflatten(2, (-1, size)).unflatten(1, (-1, size)).transpose(2, 3)  # (N, h', w', size, size, C)
    waves = cosine_matrix(size, grid)
    return torch.einsum("ki,lj,nhwijc->nhwklc", waves, waves, parts)


def from_blocks(coefficients: Tensor, height: int, width: int) -> Tensor:
    """The inverse of `to_blocks`, of a grid of that size: (N, height, width, C)."""
    waves = cosine_matrix(coefficients.shape[3], coefficients)
    parts = torch.einsum("ki,lj,nhwklc->nhwijc", waves, waves, coefficients)
    return parts.transpose(2, 3).flatten(3, 4).flatten(1, 2)[:, :height, :width]


def band_statistics(coefficients: Tensor, bands: int) -> Tensor:
    """Mean size of the coefficients of each band: (N, h', w', size, size, C) -> (N, h', w', bands, C).

    A band holds those of about the same number of half periods down and across together; the mean of the block is 0.
    """
    size = coefficients.shape[3]
    order = torch.arange(size, device=coefficients.device)
    band = (order[:, None] + order) * bands // (2 * size - 1)  # (size, size)
    members = F.one_hot(band, bands).to(coefficients)
    return torch.einsum("nhwklc,klb->nhwbc", coefficients.abs(), members / members.sum((0, 1)).clamp_min(1))


class FrequencyAdapter(nn.Module):
    """Adds to a grid what a bottleneck makes of its coefficients, and what a perceptron makes of their bands (FE-CLIP).

    features, statistics: whether it has either. It begins as little.
    """

    def __init__(
        self,
        width: int,
        *,
        size: int = 4,
        rank: int = 8,
        bands: int = 4,
        features: bool = True,
        statistics: bool = True,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.size, self.bands = size, bands
        self.coefficients = Bottleneck(width, width, rank, generator) if features else None
        self.statistics = Bottleneck(bands * width, width, rank, generator) if statistics else None

    def forward(self, grid: Tensor) -> Tensor:
        """(N, h, w, C) -> (N, h, w, C)."""
        (height, width), blocks = grid.shape[1:3], to_blocks(grid, self.size)
        found = grid
        if self.coefficients is not None:
            found = found + from_blocks(self.coefficients(blocks), height, width)
        if self.statistics is not None:
            said = self.statistics(band_statistics(blocks, self.bands).flatten(-2))  # (N, h', w', C)
            spread = said.repeat_interleave(self.size, 1).repeat_interleave(self.size, 2)
            found = found + spread[:, :height, :width]
        return found
