from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from blemish.blocks.windows import harmonic_aggregation, sliding_windows

GRIDS = pytest.mark.parametrize(("height", "width", "size"), [(5, 6, 2), (5, 6, 3), (3, 3, 3), (7, 4, 1), (4, 9, 4)])


def slow_windows(height: int, width: int, size: int) -> list[list[int]]:
    return [
        [(top + down) * width + left + across for down in range(size) for across in range(size)]
        for top in range(height - size + 1)
        for left in range(width - size + 1)
    ]


def slow_harmonic(scores: Tensor, height: int, width: int, size: int) -> Tensor:
    """Over each patch: the number of windows that cover it, by the sum of their inverse scores."""
    windows, flat = slow_windows(height, width, size), scores.flatten(1).double()
    found = torch.zeros(len(scores), height * width, dtype=torch.float64)
    for patch in range(height * width):
        covering = [number for number, window in enumerate(windows) if patch in window]
        found[:, patch] = len(covering) / (1 / flat[:, covering]).sum(1)
    return found.view(-1, height, width)


@GRIDS
def test_windows_are_every_square_of_patches_row_by_row(height: int, width: int, size: int) -> None:
    assert sliding_windows(height, width, size).tolist() == slow_windows(height, width, size)


@GRIDS
def test_harmonic_aggregation_is_the_harmonic_mean_of_covering_windows(height: int, width: int, size: int) -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(2, height - size + 1, width - size + 1, generator=generator) * 0.9 + 0.01
    expected = slow_harmonic(scores, height, width, size)
    assert_close(harmonic_aggregation(scores, size).double(), expected, rtol=1e-5, atol=1e-7)


def test_a_patch_under_a_window_of_score_0_gets_0_and_the_others_do_not() -> None:
    scores = torch.full((2, 4, 5), 0.5)
    scores[0, 1, 2] = 0.0
    found = harmonic_aggregation(scores, 2)
    assert_close(found[0, 1:3, 2:4], torch.zeros(2, 2))
    found[0, 1:3, 2:4] = 0.5
    assert_close(found, torch.full((2, 5, 6), 0.5))


def test_a_score_below_0_by_rounding_counts_as_0() -> None:
    assert harmonic_aggregation(torch.full((1, 2, 2), -1e-9), 2).tolist() == [[[0.0] * 3] * 3]
