"""Windows and their fusion, against plain definitions."""

from __future__ import annotations

import torch

from blemish.blocks.pyramid import divide_weights, fuse_fine_to_coarse


def test_windows_divide_weights_and_an_empty_one_has_all() -> None:
    weights = torch.rand(2, 5, 4) + 0.1
    parts = divide_weights(weights, 2)
    torch.testing.assert_close(torch.stack(parts).sum(0), weights)
    assert parts[1].nonzero()[:, 1].unique().tolist() == [0, 1, 2]
    assert parts[1].nonzero()[:, 2].unique().tolist() == [2, 3]
    weights[0, :, 2:] = 0
    assert torch.equal(divide_weights(weights, 2)[1][0], weights[0])
    assert torch.equal(divide_weights(weights, 1)[0], weights)


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
