from __future__ import annotations

from typing import cast

import pytest
import torch
from tests.contract.test_every_encoder import made, pictures
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from blemish.blocks.implants import Implants
from blemish.encoders.clip import CLIP
from blemish.encoders.vit import VisionTransformer


def weights(maps: nn.ModuleList) -> list[Tensor]:
    return [cast(nn.Linear, each).weight for each in maps]


@pytest.mark.parametrize("name", ["embedded", "clip-resnet-pair"])
def test_without_seams_layers_are_described_as_they_are(name: str) -> None:
    encoder, images = made(name), pictures(64, 64)
    implants = Implants(encoder, (2, 4), 6, seed=1)
    first, second = implants(encoder, images)
    assert len(implants.outward) == 0
    for at, layer in enumerate(encoder(images, layers=(2, 4)).patches):
        one, two = weights(implants.inward)[2 * at : 2 * at + 2]
        assert_close(first[at], F.normalize(F.leaky_relu(layer @ one.T), dim=-1))
        assert_close(second[at], F.normalize(F.leaky_relu(layer @ two.T), dim=-1))


def test_with_seams_what_is_said_goes_on_in_part_but_behind_the_last_layer() -> None:
    encoder, images = cast(CLIP, made("test-tiny")), pictures(64, 64)
    implants = Implants(encoder, (1, 3), 6, weight=0.2, seed=1)
    first, second = implants(encoder, images)
    tower = cast(VisionTransformer, encoder.visual)
    inward, outward = weights(implants.inward), weights(implants.outward)
    assert len(outward) == 2
    tokens = tower.blocks[0](tower.embed(images))
    said = [F.leaky_relu(tokens @ weight.T) for weight in inward[:2]]
    assert_close(first[0].flatten(1, 2), F.normalize(said[0], dim=-1)[:, 1:], rtol=1e-4, atol=1e-5)
    added = [F.leaky_relu(each @ weight.T) for each, weight in zip(said, outward, strict=True)]
    tokens = tower.blocks[2](tower.blocks[1](0.6 * tokens + 0.2 * added[0] + 0.2 * added[1]))
    expected = F.normalize(F.leaky_relu(tokens @ inward[3].T), dim=-1)[:, 1:]
    assert_close(second[1].flatten(1, 2), expected, rtol=1e-4, atol=1e-5)


def test_they_come_from_their_seed_and_leave_the_global_random_state_alone() -> None:
    before, encoder = torch.get_rng_state(), made("test-tiny")
    one, same, other = (weights(Implants(encoder, (2,), 6, seed=seed).inward)[0] for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
