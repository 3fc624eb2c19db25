from __future__ import annotations

from typing import cast

import pytest
import torch
from tests.contract.test_every_encoder import made, pictures
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from blemish.blocks.adapters import (
    AdaptedLayers,
    BottleneckAdapter,
    ResidualAdapter,
    ScaledAdapter,
    TextBridge,
    adapt_block,
    adapt_patches,
    draw_linear,
)
from blemish.errors import BadInput


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_residual_adapter_steps_as_far_as_its_weight_says() -> None:
    adapter = ResidualAdapter(4, weight=0.3, generator=generator())
    tokens = torch.randn(2, 3, 4, generator=generator(1))
    for token, found in zip(tokens.flatten(0, 1), adapter(tokens).flatten(0, 1), strict=True):
        pushed = adapter.linear.weight @ token
        step = torch.where(pushed > 0, pushed, 0.01 * pushed)
        assert_close(found, 0.7 * token + 0.3 * step * token.norm() / step.norm())


def test_an_adapter_of_nothing_gives_nothing() -> None:
    adapter = ResidualAdapter(4, generator=generator()).requires_grad_(True)
    tokens = torch.zeros(1, 4, requires_grad=True)
    adapter(tokens).sum().backward()
    assert torch.equal(adapter(tokens), torch.zeros(1, 4))
    assert tokens.grad is not None
    assert tokens.grad.isfinite().all()


def test_a_bottleneck_adds_what_passes_it() -> None:
    adapter, tokens = BottleneckAdapter(8, reduction=4).eval(), torch.randn(2, 3, 8, generator=generator(1))
    adapter.norm.running_mean = torch.tensor([0.1, -0.2])
    for token, found in zip(tokens.flatten(0, 1), adapter(tokens).flatten(0, 1), strict=True):
        narrow = (adapter.narrow.weight @ token - torch.tensor([0.1, -0.2])) / (1 + 1e-5) ** 0.5
        assert_close(found, token + adapter.widen.weight @ narrow.clamp_min(0))


def test_a_bottleneck_is_not_trained_by_one_row() -> None:
    adapter = BottleneckAdapter(8)
    with pytest.raises(BadInput, match="--batch-size 2"):
        adapter(torch.zeros(1, 8))
    assert adapter.eval()(torch.zeros(1, 8)).shape == (1, 8)


def test_only_the_first_blocks_are_adapted() -> None:
    adapters = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])
    tokens = torch.randn(1, 2, 3, generator=generator())
    assert torch.equal(adapt_block(adapters, tokens, 2), adapters[1](tokens))
    assert adapt_block(adapters, tokens, 3) is tokens


def test_a_linear_map_is_drawn_by_its_generator_within_the_bound_of_glorot() -> None:
    before = torch.get_rng_state()
    one, same, other = (draw_linear(5, 7, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one.weight, same.weight)
    assert not torch.equal(one.weight, other.weight)
    assert one.bias is None
    assert 0.8 * (6 / 12) ** 0.5 < one.weight.abs().max() <= (6 / 12) ** 0.5


@pytest.mark.parametrize("name", ["embedded", "clip-resnet-pair"])
def test_without_seams_each_layer_is_adapted_behind_the_encoder(name: str) -> None:
    encoder, images = made(name), pictures(64, 64)
    adapted = AdaptedLayers(encoder, (2, 4), 6, blocks=9, weight=0.2)
    found, whole = adapted(encoder, images)
    for number, layer in enumerate(encoder(images, layers=(2, 4)).patches):
        behind = adapted.adapters[number](layer)
        assert_close(found[number], F.normalize(adapted.heads[number](behind), dim=-1))
    assert_close(whole, F.normalize(adapted.whole(behind), dim=-1).flatten(1, 2).mean(1))


def test_with_seams_the_first_blocks_are_adapted_and_layers_pass_the_last_norm() -> None:
    encoder, images = made("test-tiny"), pictures(64, 64)
    adapted = AdaptedLayers(encoder, (1, 4), 6, blocks=2, weight=0.2)
    (first, last), _ = adapted(encoder, images)
    plain = encoder(images, layers=(1,)).patches[0]
    behind = adapted.adapters[0](plain)
    assert_close(first, F.normalize(adapted.heads[0](F.layer_norm(behind, (64,))), dim=-1), rtol=1e-4, atol=1e-5)
    assert len(adapted.adapters) == 2
    cast(ResidualAdapter, adapted.adapters[1]).weight = 0.0
    assert not torch.allclose(adapted(encoder, images)[0][1], last, atol=1e-3)


def test_a_scaled_adapter_is_a_linear_map_and_a_weighed_bottleneck() -> None:
    adapter = ScaledAdapter(8, 5, generator=generator()).requires_grad_(False)
    tokens = torch.randn(2, 3, 8, generator=generator(1))
    assert adapter.narrow.weight.shape == (2, 8)
    adapter.scale.fill_(0.7)
    inner = F.relu(tokens @ adapter.narrow.weight.T + adapter.narrow.bias) @ adapter.widen.weight.T + adapter.widen.bias
    moved = tokens @ adapter.residual.weight.T + adapter.residual.bias + 0.7 * inner
    assert_close(adapter(tokens), moved / moved.norm(dim=-1, keepdim=True))


def test_a_scaled_adapter_of_one_width_begins_as_nothing_but_direction() -> None:
    tokens = torch.randn(2, 3, 8, generator=generator(1))
    assert_close(ScaledAdapter(8, 8, generator=generator())(tokens), F.normalize(tokens, dim=-1))


def test_only_patches_of_blocks_with_an_adapter_of_grids_are_changed() -> None:
    tokens = torch.randn(2, 1 + 6, 4, generator=generator())
    flip = nn.Module()
    flip.forward = lambda grid: grid.flip(1)
    assert adapt_patches({2: flip}, (2, 3), tokens, 1) is tokens
    found = adapt_patches({2: flip}, (2, 3), tokens, 2)
    assert torch.equal(found, tokens[:, [0, 4, 5, 6, 1, 2, 3]])


def test_a_bridge_moves_texts_a_little_and_keeps_their_length() -> None:
    texts = F.normalize(torch.randn(3, 16, generator=generator()), dim=-1)
    found = TextBridge(16, seed=1)(texts)
    assert_close(found.norm(dim=-1), torch.ones(3))
    assert ((found * texts).sum(-1) > 0.9).all()
    assert not torch.allclose(found, texts)
