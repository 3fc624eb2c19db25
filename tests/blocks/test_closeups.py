from __future__ import annotations

from dataclasses import replace
from typing import cast

import torch
from torch.testing import assert_close

from blemish.blocks.closeups import (
    Closeup,
    blend_closeups,
    closeup_batch,
    closeups_of_peaks,
    closeups_of_truth,
    look_closer,
    view_defects,
    view_pictures,
)
from blemish.images import Region
from blemish.types import Batch, Encoder, Features


def test_peaks_above_the_level_are_looked_at_worst_first_and_at_most_so_many() -> None:
    maps = torch.zeros(2, 60, 90)
    maps[1, 10:12, 20:24], maps[1, 40:44, 70:72], maps[1, 55, 5] = 0.6, 0.9, 0.5
    found = closeups_of_peaks(maps, 0.4, most=2)
    assert found == [Closeup(1, Region(56, 32, 30, 20)), Closeup(1, Region(7, 1, 30, 20))]
    assert closeups_of_peaks(maps, 0.95, most=2) == []


def test_a_region_wider_than_a_third_is_shown_whole() -> None:
    maps = torch.zeros(1, 60, 60)
    maps[0, 30, 5:50] = 1
    (found,) = closeups_of_peaks(maps, 0.5, most=4)
    assert (found.region.width, found.region.height) == (45, 45)
    assert found.region.x == 5


def test_training_looks_round_defects_and_anywhere_in_good_parts() -> None:
    masks = torch.zeros(40, 64, 48, dtype=torch.bool)
    masks[::2, 50:54, 3:6] = True
    found = closeups_of_truth(masks, torch.Generator().manual_seed(0))
    assert [each.picture for each in found] == list(range(40))
    for each, mask in zip(found, masks, strict=True):
        assert each.region.fits(64, 48)
        assert 1 / 3 - 0.02 <= each.region.width / 48 <= 2 / 3 + 0.02
        x, y = each.region.x, each.region.y
        assert mask[y : y + each.region.height, x : x + each.region.width].any() == mask.any()
    assert len({each.region.x for each in found[1::2]}) > 5


def test_a_close_up_is_the_part_at_full_size() -> None:
    images = torch.rand(2, 3, 12, 12)
    (found,) = look_closer(images, [Closeup(1, Region(0, 4, 4, 4))])
    expected = torch.nn.functional.interpolate(images[1:, :, 4:8, :4], (12, 12), mode="bilinear", align_corners=False)
    assert_close(found, expected[0])


def test_inside_a_close_up_the_map_is_the_geometric_mean_and_outside_as_it_was() -> None:
    maps, closer = torch.full((1, 64, 64), 0.4), torch.full((1, 64, 64), 0.9)
    found = blend_closeups(maps, closer, [Closeup(0, Region(16, 0, 32, 32))])[0]
    assert_close(found[8, 32], torch.tensor(0.36).sqrt())
    assert_close(found[0, 32], torch.tensor(0.36).sqrt())  # no seam at the border of the picture
    assert bool((found[:, :16] == 0.4).all() and (found[32:] == 0.4).all())
    seam = found[8, 16:32]
    assert 0.4 < seam[0] < 0.42
    assert bool((seam.diff() >= -1e-6).all())
    assert_close(maps, torch.full((1, 64, 64), 0.4))


def test_close_ups_that_overlap_do_not_count_twice() -> None:
    maps, closer = torch.full((1, 64, 64), 0.4), torch.full((2, 64, 64), 0.9)
    twice = blend_closeups(maps, closer, [Closeup(0, Region(16, 16, 32, 32))] * 2)[0]
    assert_close(twice[32, 32], torch.tensor(0.36).sqrt())


class Tower:
    """A stub that sees the mean colour, and notes the sizes of what it was shown."""

    image_size = 24

    def __init__(self) -> None:
        self.sizes: list[tuple[int, ...]] = []

    def __call__(self, images: torch.Tensor) -> Features:
        self.sizes.append(tuple(images.shape))
        return Features(images.mean((2, 3)), ())


def test_whole_pictures_are_embedded_by_another_encoder_at_its_own_size() -> None:
    other, images, own = Tower(), torch.rand(2, 3, 32, 32), torch.zeros(2, 3)
    assert view_pictures(None, images, own) is own
    smaller = torch.nn.functional.interpolate(images, (24, 24), mode="bilinear", align_corners=False)
    assert_close(view_pictures(cast(Encoder, other), images, own), smaller.mean((2, 3)))
    assert other.sizes == [(2, 3, 24, 24)]


def marked_batch() -> Batch:
    images, masks = torch.zeros(3, 3, 32, 32), torch.zeros(3, 32, 32, dtype=torch.bool)
    masks[1, 10:22, 10:22] = True
    images[:, :, 10:22, 10:22] = 1
    return Batch(images, masks)


def test_defects_whose_place_is_known_are_embedded_from_near() -> None:
    batch, tower, whole = marked_batch(), Tower(), torch.zeros(3, 3)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        found = view_defects(tower, batch, torch.tensor([False, True, False]), whole)
    closeups = closeups_of_truth(cast(torch.Tensor, batch.masks), torch.Generator().manual_seed(3))
    assert found[[0, 2]].eq(0).all()
    assert_close(found[1:2], look_closer(batch.images, closeups[1:2]).mean((2, 3)))
    assert tower.sizes == [(1, 3, 32, 32)]
    assert view_defects(tower, batch, torch.zeros(3, dtype=torch.bool), whole) is whole


def test_close_ups_that_came_with_a_batch_are_those_that_are_seen() -> None:
    batch, tower, whole = marked_batch(), Tower(), torch.zeros(3, 3)
    closer = replace(batch, features=Features(torch.full((3, 3), 5.0), ()))
    every = torch.ones(3, dtype=torch.bool)
    assert closeup_batch(replace(batch, near=closer)) is closer
    assert view_defects(tower, replace(batch, near=closer), every, whole).eq(5).all()
    assert tower.sizes == []
    anew = closeup_batch(batch)
    assert anew.masks is not None
    assert anew.masks.flatten(1).any(1).tolist() == [False, True, False]
