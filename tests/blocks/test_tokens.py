from __future__ import annotations

import math
from typing import cast

import pytest
import torch
from tests.contract.test_every_encoder import made, pictures
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from blemish.blocks.tokens import CrossAttention, SelfAttention, blur_neighbours, read_tokens
from blemish.encoders.clip import CLIP
from blemish.encoders.vit import VisionTransformer


def test_the_class_token_of_each_layer_comes_with_its_patches() -> None:
    encoder, images = cast(CLIP, made("test-tiny")), pictures(64, 64)
    tower = cast(VisionTransformer, encoder.visual)
    tokens, expected = tower.embed(images), list[Tensor]()
    for block in tower.blocks:
        tokens = block(tokens)
        expected.append(tokens)
    found = read_tokens(encoder, images, (2, 4))
    assert_close(found.image, torch.cat([expected[1][:, 0], expected[3][:, 0]], 1), rtol=1e-4, atol=1e-5)
    assert_close(found.patches[0].flatten(1, 2), expected[1][:, 1:], rtol=1e-4, atol=1e-5)
    assert torch.equal(tower.project(found.image[:, 64:]), encoder(images).image)


@pytest.mark.parametrize("name", ["embedded", "vit-mean", "resnet"])
def test_the_mean_patch_stands_for_a_class_token_that_is_not_there(name: str) -> None:
    encoder, images = made(name), pictures(64, 64)
    found = read_tokens(encoder, images, (1, 2))
    assert_close(found.image, torch.cat([each.mean((1, 2)) for each in encoder(images, layers=(1, 2)).patches], 1))


def test_attention_gives_the_weighted_values_of_the_normed_tokens() -> None:
    attention = SelfAttention(6, heads=2, head_width=3, seed=1)
    tokens = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0))
    normed = F.layer_norm(tokens, (6,))
    q, k, v = (normed @ weight.T for weight in attention.roles.weight.split(6))
    heads = []
    for part in (slice(0, 3), slice(3, 6)):
        weights = (q[..., part] @ k[..., part].mT / 3**0.5).softmax(-1)
        heads.append(weights @ v[..., part])
    expected = torch.cat(heads, -1) @ attention.out.weight.T + attention.out.bias
    assert_close(attention(tokens), expected, rtol=1e-4, atol=1e-5)


def test_attention_comes_from_its_seed_and_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    one, same, other = (SelfAttention(6, seed=seed).roles.weight for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert one.abs().max() <= 6**-0.5


@pytest.mark.parametrize("size", [1, 3, 5])
def test_blurred_neighbourhoods_are_weighted_by_distance_and_count_what_is_outside_as_0(size: int) -> None:
    patches = torch.randn(2, 4, 6, 3, generator=torch.Generator().manual_seed(0))
    found, half = blur_neighbours(patches, size, 1.5), size // 2
    reach = range(-half, half + 1)
    weights = {(dy, dx): math.exp(-(dy**2 + dx**2) / (2 * 1.5**2)) for dy in reach for dx in reach}
    for y, x in ((0, 0), (2, 3), (3, 5)):
        expected = torch.zeros(2, 3)
        for (dy, dx), weight in weights.items():
            if 0 <= y + dy < 4 and 0 <= x + dx < 6:
                expected += weight / sum(weights.values()) * patches[:, y + dy, x + dx]
        assert_close(found[:, y, x], expected)


def test_tokens_get_what_they_attend_to_among_others_of_another_width() -> None:
    module = CrossAttention(6, 10, heads=2, head_width=3, generator=torch.Generator().manual_seed(0))
    draw = torch.Generator().manual_seed(1)
    tokens, others = torch.randn(1, 4, 6, generator=draw), torch.randn(1, 5, 10, generator=draw)
    query = module.query(F.layer_norm(tokens, (6,)))[0].view(4, 2, 3)
    both = module.key_value(F.layer_norm(others, (10,)))[0].view(5, 2, 2, 3)
    heads = []
    for head in range(2):
        weights = (query[:, head] @ both[:, 0, head].T / 3**0.5).softmax(-1)
        heads.append(weights @ both[:, 1, head])
    assert_close(module(tokens, others)[0], tokens[0] + module.out(torch.cat(heads, -1)))
