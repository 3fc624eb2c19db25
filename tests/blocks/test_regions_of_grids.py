"""Regions of a grid: which places touch, and what is pooled of each."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from blemish.blocks.pixelwise import components, peaks, pool_regions, pool_truth, weighted_mean


def test_components_are_those_of_scipy() -> None:
    inside = torch.rand(4, 12, 9, generator=torch.Generator().manual_seed(0)) > 0.6
    for found, each in zip(components(inside), inside, strict=True):
        expected, count = ndimage.label(each.numpy(), structure=np.ones((3, 3)))
        assert len(found.unique()) == count + 1
        pairs = set(zip(found.flatten().tolist(), expected.flatten().tolist(), strict=True))
        assert len(pairs) == count + 1


def test_each_region_is_pooled_alone_and_the_heaviest_is_first() -> None:
    logits = torch.full((1, 6, 6), -1.0)
    logits[0, 0, 0], logits[0, 3:5, 3:5] = 4.0, 1.0
    features = torch.arange(36.0).view(1, 1, 6, 6)
    found = pool_regions(features, logits, most=3)
    square, both = (21 + 22 + 27 + 28) / 4, torch.tensor([1.0, 4.0]).sigmoid()
    every = square * 4 * both[0] / (4 * both[0] + both[1])
    torch.testing.assert_close(found.features[0, :, 0], torch.tensor([float(every), square, 0.0, 0.0]))
    assert found.members[0].flatten(1).gt(0).sum(1).tolist() == [4, 1, 0]


def test_places_weigh_what_their_logits_say() -> None:
    logits = torch.tensor([[[2.0, 0.5, -1.0]]])
    features = torch.tensor([[[[1.0, 3.0, 100.0]]]])
    one, other = torch.sigmoid(torch.tensor(2.0)), torch.sigmoid(torch.tensor(0.5))
    found = pool_regions(features, logits, most=1).features
    torch.testing.assert_close(found[0, 1, 0], (one + 3 * other) / (one + other))


def test_without_a_place_above_0_the_highest_is_the_region() -> None:
    logits = torch.tensor([[[-2.0, -0.5], [-1.0, -3.0]]])
    assert peaks(logits).tolist() == [[[False, True], [False, False]]]
    found = pool_regions(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), logits, most=2)
    assert found.features[0, :2].flatten().tolist() == [2.0, 2.0]


def test_regions_to_learn_from_are_the_truth_where_it_is_marked_and_the_peaks() -> None:
    features = torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 1, 2, 2).expand(2, 1, 2, 2)
    logits = torch.tensor([[[1.0, -1.0], [-1.0, -1.0]]]).expand(2, 2, 2)
    truth = torch.tensor([[[0.0, 0.0], [0.0, 1.0]]]).expand(2, 2, 2)
    found = pool_truth(features, logits, truth, torch.tensor([True, False]))
    assert found.squeeze(2).tolist() == [[4.0, 1.0], [1.0, 1.0]]


def test_nothing_weighs_nothing() -> None:
    assert weighted_mean(torch.ones(1, 2, 3, 3), torch.zeros(1, 1, 3, 3)).tolist() == [[[0.0, 0.0]]]


@pytest.mark.parametrize("turned", [False, True])
def test_long_windings_are_one_component_in_a_graph_too(turned: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    snake = torch.zeros(1, 64, 64, dtype=torch.bool)
    snake[0, ::2], snake[0, 1::4, -1], snake[0, 3::4, 0] = True, True, True
    inside = snake.mT if turned else snake
    assert len(components(inside).unique()) == 2
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert len(components(inside).unique()) == 2
