from __future__ import annotations

import pytest
import torch

from blemish.blocks.heads import LayerHeads, quarters


def test_every_layer_has_a_linear_head_into_the_same_space() -> None:
    heads = LayerHeads([4, 6], 5, seed=1)
    layers = [torch.randn(2, 3, 3, 4), torch.randn(2, 1, 2, 6)]
    found = heads(layers)
    assert [tuple(each.shape) for each in found] == [(2, 3, 3, 5), (2, 1, 2, 5)]
    weight, bias = (dict(heads.named_parameters())[f"heads.1.{part}"] for part in ("weight", "bias"))
    torch.testing.assert_close(found[1], layers[1] @ weight.T + bias)
    assert weight.abs().max() <= 6**-0.5


def test_heads_come_from_the_seed_and_leave_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    one, same, other = (LayerHeads([4], 5, seed=seed).heads[0] for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(*pair) for pair in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(next(one.parameters()), next(other.parameters()))


@pytest.mark.parametrize(
    ("depth", "layers"), [(24, (6, 12, 18, 24)), (12, (3, 6, 9, 12)), (5, (1, 2, 3, 5)), (4, (1, 2, 3, 4)), (1, (1,))]
)
def test_quarters_of_the_depth_each_once(depth: int, layers: tuple[int, ...]) -> None:
    assert quarters(depth) == layers
