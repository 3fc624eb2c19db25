from __future__ import annotations

from typing import cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from blemish.blocks.comparison import ComparisonHead, choose_references, nearest_of_banks, nearest_of_pair
from blemish.blocks.memory import MemoryBank


def units(*shape: int, seed: int = 0) -> Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_places_are_held_against_the_nearest_of_their_own_good_part() -> None:
    places, good = units(2, 2, 3, 5), units(2, 4, 2, 5, seed=1)
    found = nearest_of_pair(places, good)
    for picture in range(2):
        rows = good[picture].flatten(0, 1)
        for place, nearest in zip(places[picture].flatten(0, 1), found[picture].flatten(0, 1), strict=True):
            assert torch.equal(nearest, max(rows, key=lambda row: float(row @ place)))


def test_places_are_held_against_the_nearest_of_all_that_is_remembered() -> None:
    banks = [MemoryBank(), MemoryBank()]
    for seed, bank in enumerate(banks):
        bank.hold(units(7, 5, seed=seed + 5))
    layers = [units(2, 2, 3, 5), units(2, 1, 1, 5, seed=1)]
    distances, rows = nearest_of_banks(banks, layers)
    for bank, places, distance, row in zip(banks, layers, distances, rows, strict=True):
        assert distance.shape == places.shape[:3]
        assert_close(distance, 1 - (places @ bank.rows.T).amax(-1))
        assert_close((row * places).sum(-1), 1 - distance)


@pytest.mark.parametrize(
    ("good", "products", "expected"),
    [
        ([True, False, True, False], None, {0: 2, 1: 2, 2: 0, 3: 0}),
        ([True, False, False], None, {1: 0, 2: 0}),  # the only good one has no other
        ([True, True, False, False], ("cap", "lid", "cap", "lid"), {2: 0, 3: 1}),
        ([False, False], None, {}),
    ],
)
def test_another_good_picture_of_the_product_is_the_reference(
    good: list[bool], products: tuple[str, ...] | None, expected: dict[int, int]
) -> None:
    rows, others = choose_references(torch.tensor(good), products)
    assert dict(zip(rows.tolist(), others.tolist(), strict=True)) == expected
    assert rows.dtype == others.dtype == torch.int64


def test_what_differs_is_added_to_what_is_there_and_the_heads_are_shared() -> None:
    head = ComparisonHead(5, 2, hidden=4).eval()
    layers, nearest = [units(2, 3, 4, 5), units(2, 4, 4, 5, seed=1)], [units(2, 3, 4, 5, seed=2), units(2, 4, 4, 5)]
    nn.init.constant_(cast(nn.BatchNorm2d, head.norms[1]).weight, 2.0)
    for (picture, grid), places, good, weight in zip(head(layers, nearest), layers, nearest, (1.0, 2.0), strict=True):
        fused = weight * (places + (places - good).abs()).permute(0, 3, 1, 2) / (1 + 1e-5) ** 0.5
        logits = head.places(fused)
        assert grid.shape == (2, 4 * places.shape[1], 4 * places.shape[2])
        assert_close(grid.sigmoid(), logits.softmax(1)[:, 1], rtol=1e-4, atol=1e-5)
        flat = fused.flatten(2).sort(dim=-1, descending=True).values
        pooled = (flat.mean(-1) + flat[..., :10].mean(-1)) / 2
        assert_close(picture.sigmoid(), head.whole(pooled).softmax(1)[:, 1], rtol=1e-4, atol=1e-5)


def test_fewer_places_than_speak_for_a_picture_all_do() -> None:
    head, places = ComparisonHead(5, 1, hidden=4).eval(), units(1, 2, 2, 5)
    ((picture, _),) = head([places], [places])
    fused = places.flatten(1, 2).mean(1) / (1 + 1e-5) ** 0.5
    assert_close(picture.sigmoid(), head.whole(fused).softmax(1)[:, 1], rtol=1e-4, atol=1e-5)


def test_a_training_step_updates_shared_statistics_once_a_layer() -> None:
    head, places = ComparisonHead(5, 3, hidden=4), units(2, 3, 3, 5)
    head([places] * 3, [places.flip(0)] * 3)
    counts = {name: int(each) for name, each in head.named_buffers() if name.endswith("num_batches_tracked")}
    assert {counts[name] for name in counts if name.startswith("norms")} == {1}
    assert {counts[name] for name in counts if not name.startswith("norms")} == {3}
