"""Regions that are segmented by their colours and pasted back."""

from __future__ import annotations

import torch

from blemish.blocks.refinement import refine_regions, segment_by_colour


def part(side: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    noise = 0.02 * torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    images, truth = 0.5 + noise, torch.zeros(side, side, dtype=torch.bool)
    truth[10:16, 8:20] = True
    images[0, 0, truth] += 0.3
    return images.clamp(0, 1), truth


def test_colours_draw_a_defect_finer_than_the_hint() -> None:
    images, truth = part()
    hint = torch.full(truth.shape, 0.1)
    hint[8:20, 4:24] = 0.8  # too wide
    found = segment_by_colour(images[0], hint)
    assert found[truth].mean() > 0.9
    assert found[(hint > 0.5) & ~truth].mean() < 0.4


def test_only_regions_that_reach_the_level_are_changed() -> None:
    images, truth = part()
    maps = torch.full((1, 32, 32), 0.1)
    maps[0, 8:20, 4:24] = 0.8
    found = refine_regions(images, maps, segment_by_colour, level=0.5, most=2)
    assert found[0][~truth][maps[0][~truth] > 0.5].mean() < 0.5
    assert found[0][truth].mean() > 0.8
    assert torch.equal(refine_regions(images, maps, segment_by_colour, level=0.9, most=2), maps)
