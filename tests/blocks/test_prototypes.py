from __future__ import annotations

import torch
from torch.nn import functional as F

from blemish.blocks.prototypes import FreePrototypes


def test_every_layer_is_compared_with_rows_of_its_own() -> None:
    prototypes = FreePrototypes([3, 5], 4, seed=2)
    layers = [torch.randn(2, 6, 6, 3), torch.randn(2, 5)]
    found = prototypes(layers)
    assert [tuple(each.shape) for each in found] == [(2, 6, 6, 4), (2, 4)]
    expected = F.cosine_similarity(layers[1][:, None], prototypes.rows[1][None], dim=-1)
    torch.testing.assert_close(found[1], expected)


def test_they_come_from_the_seed() -> None:
    one, same, other = (FreePrototypes([3], 2, seed=seed).rows[0] for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
