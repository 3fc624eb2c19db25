from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from blemish.blocks.clusters import kmeans, pool_clusters, subtract_group_means


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_rows_that_lie_apart_are_grouped_whatever_their_order() -> None:
    places = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    true = torch.tensor([0, 1, 1, 2, 0, 2, 2, 1, 0, 0])
    found = kmeans(places[true] + 0.5 * drawn(10, 2), 3)
    for one in range(10):
        assert torch.equal(found == found[one], true == true[one])


def test_in_the_end_every_row_belongs_to_the_nearest_mean() -> None:
    rows = drawn(60, 3)
    found = kmeans(rows, 5, rounds=50)
    means = torch.stack([rows[found == number].mean(0) for number in range(5)])
    assert torch.equal((rows[:, None] - means).square().sum(-1).argmin(1), found)


def test_the_same_rows_are_grouped_the_same_and_nothing_is_drawn() -> None:
    before = torch.get_rng_state()
    assert torch.equal(kmeans(drawn(30, 4), 6), kmeans(drawn(30, 4), 6))
    assert torch.equal(torch.get_rng_state(), before)


def test_fewer_rows_than_groups_have_a_group_each_and_equal_ones_share_theirs() -> None:
    assert kmeans(drawn(3, 2), 9).unique().numel() == 3
    assert kmeans(torch.ones(4, 2), 3).unique().numel() == 1


def test_the_highest_places_are_averaged_by_groups() -> None:
    layers, scores = drawn(2, 12, 2, 4), drawn(2, 12, seed=1)
    found = pool_clusters(layers, scores, 2, members=3)
    for picture, score, pooled in zip(layers, scores, found, strict=True):
        chosen = picture[score.argsort(descending=True)[:6]]
        groups = kmeans(chosen.flatten(1), 2)
        means = [chosen[groups == number].flatten(0, 1).mean(0) for number in range(2)]
        assert_close(pooled, F.normalize((means[0] + means[1]) / 2, dim=0))


def test_groups_without_places_say_nothing_and_gradients_pass() -> None:
    layers = torch.ones(1, 4, 1, 3, requires_grad=True)
    found = pool_clusters(layers, torch.zeros(1, 4), 3)
    assert_close(found, torch.full((1, 3), 3**-0.5))
    (gradient,) = torch.autograd.grad(found[0, 0], layers)
    assert gradient.abs().sum() > 0


def test_of_each_place_a_share_of_the_mean_of_its_group_is_taken() -> None:
    places = torch.zeros(1, 2, 4, 2)
    places[..., :2, 0], places[..., 2:, 1] = 1, 1
    logits = torch.arange(8.0).view(1, 2, 4)
    found = subtract_group_means(logits, places, 2, share=0.5)
    left, right = logits[..., :2], logits[..., 2:]
    torch.testing.assert_close(found, torch.cat([left - left.mean() / 2, right - right.mean() / 2], -1))
