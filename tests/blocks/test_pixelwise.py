"""Heads that are trained on a grid of features."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from blemish.blocks.pixelwise import MapHead, ScoreHead, initialise


def test_a_place_of_the_map_depends_on_nothing_else() -> None:
    head = MapHead(3, 8).eval()
    features = torch.randn(2, 3, 4, 5)
    changed = features.clone()
    changed[0, :, 1, 1] += 1
    apart = (head(features) != head(changed))[:, 0]
    assert apart.nonzero().tolist() == [[0, 1, 1]]


def test_a_score_is_what_features_and_map_have_at_most_and_on_the_mean() -> None:
    head = ScoreHead(3, 4).eval()
    features, grid = torch.randn(2, 3, 6, 6), torch.randn(2, 1, 6, 6)
    mixed = F.relu(head.mix[1](head.mix[0](torch.cat([features, grid], 1))))
    parts = [mixed.amax((2, 3)), mixed.mean((2, 3)), grid.amax((2, 3)), grid.mean((2, 3))]
    expected = torch.cat(parts, 1) @ head.decide.weight[0] + head.decide.bias
    torch.testing.assert_close(head(features, grid), expected)


@pytest.mark.parametrize("size", [(6, 6), (7, 5)])
def test_a_reduced_score_reads_few_channels_at_half_the_grid(size: tuple[int, int]) -> None:
    head = ScoreHead(8, 4, reduced=2).eval()
    seen = list[torch.Size]()
    head.mix[0].register_forward_hook(lambda module, given, found: seen.append(given[0].shape))
    assert head(torch.randn(2, 8, *size), torch.randn(2, 1, *size)).shape == (2,)
    assert seen == [torch.Size((2, 3, size[0] // 2, size[1] // 2))]


def test_weights_are_xaviers() -> None:
    layer = nn.Conv2d(200, 100, 1).apply(initialise)
    assert float(layer.weight.detach().std()) == pytest.approx((2 / 300) ** 0.5, rel=0.05)


def test_an_adapter_and_a_map_head_are_one_in_use() -> None:
    head, adapter, features = MapHead(3, 8).eval(), nn.Conv2d(3, 3, 1), torch.randn(2, 3, 4, 5)
    torch.testing.assert_close(head.after(adapter, features), head(adapter(features)))


def test_in_training_both_copies_of_adapted_features_share_what_has_no_noise() -> None:
    torch.manual_seed(0)
    head, adapter, features = MapHead(3, 8), nn.Conv2d(3, 3, 1), torch.randn(2, 3, 4, 5)
    spots = torch.rand(4, 4, 5) > 0.5
    noise = torch.randn(int(spots.sum()), 3)
    dense = torch.zeros(4, 4, 5, 3)
    dense[spots] = noise
    seen = dict[str, list[torch.Tensor]]()
    for name in ("apart", "at once"):
        fresh, other = copy.deepcopy(head), copy.deepcopy(adapter)
        if name == "apart":
            adapted = other(features)
            grid = fresh(torch.cat([adapted, adapted]) + dense.permute(0, 3, 1, 2))
        else:
            grid = fresh.learn_after(other, features, noise, spots)
        grid.square().mean().backward()
        gradients = [each.grad for part in (fresh, other) for each in part.parameters() if each.grad is not None]
        seen[name] = [grid.detach(), *fresh.buffers(), *gradients]
    for apart, once in zip(*seen.values(), strict=True):
        torch.testing.assert_close(once, apart, rtol=1e-4, atol=1e-6)
