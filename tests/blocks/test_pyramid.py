"""Windows and their fusion, against plain definitions."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from blemish.blocks.pyramid import fuse_fine_to_coarse, pool_windows


def test_windows_are_weighted_means_and_empty_ones_the_whole() -> None:
    places, weights = torch.randn(1, 4, 4, 3), torch.zeros(1, 4, 4)
    weights[0, 0, 0], weights[0, 1, 1] = 1.0, 0.5
    found = pool_windows(places, weights, 2)
    whole = F.normalize(places[0, 0, 0] + 0.5 * places[0, 1, 1], dim=0)
    torch.testing.assert_close(found[0, 0, 0], whole)
    torch.testing.assert_close(found[0, 1, 1], whole)
    every = pool_windows(places, torch.ones(1, 4, 4), 2)
    torch.testing.assert_close(every[0, 1, 0], F.normalize(places[0, 2:, :2].mean((0, 1)), dim=0))


def test_a_window_has_its_own_score_and_the_highest_inside_it() -> None:
    fine, middle, whole = torch.randn(2, 4, 4, 3), torch.randn(2, 2, 2, 3), torch.randn(2, 1, 1, 3)
    found = fuse_fine_to_coarse([fine, middle, whole], 0.3)
    for row in range(2):
        for kind in range(3):
            inner = [
                0.7 * middle[row, y, x, kind] + 0.3 * fine[row, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2, kind].max()
                for y in range(2)
                for x in range(2)
            ]
            expected = 0.7 * whole[row, 0, 0, kind] + 0.3 * max(inner)
            torch.testing.assert_close(found[row, kind], expected)
