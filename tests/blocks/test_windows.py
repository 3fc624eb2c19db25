from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from blemish.blocks.windows import (
    enlarge_window,
    harmonic_aggregation,
    mean_of_windows,
    overlapping_windows,
    sliding_windows,
)

GRIDS = pytest.mark.parametrize(("height", "width", "size"), [(5, 6, 2), (5, 6, 3), (3, 3, 3), (7, 4, 1), (4, 9, 4)])


def slow_windows(height: int, width: int, size: int) -> list[list[int]]:
    return [
        [(top + down) * width + left + across for down in range(size) for across in range(size)]
        for top in range(height - size + 1)
        for left in range(width - size + 1)
    ]


def slow_harmonic(scores: Tensor, height: int, width: int, size: int) -> Tensor:
    """Over each patch: the number of windows that cover it, by the sum of their inverse scores."""
    windows, flat = slow_windows(height, width, size), scores.flatten(1).double()
    found = torch.zeros(len(scores), height * width, dtype=torch.float64)
    for patch in range(height * width):
        covering = [number for number, window in enumerate(windows) if patch in window]
        found[:, patch] = len(covering) / (1 / flat[:, covering]).sum(1)
    return found.view(-1, height, width)


@GRIDS
def test_windows_are_every_square_of_patches_row_by_row(height: int, width: int, size: int) -> None:
    assert sliding_windows(height, width, size).tolist() == slow_windows(height, width, size)


@GRIDS
def test_harmonic_aggregation_is_the_harmonic_mean_of_covering_windows(height: int, width: int, size: int) -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(2, height - size + 1, width - size + 1, generator=generator) * 0.9 + 0.01
    expected = slow_harmonic(scores, height, width, size)
    assert_close(harmonic_aggregation(scores, size).double(), expected, rtol=1e-5, atol=1e-7)


def test_a_patch_under_a_window_of_score_0_gets_0_and_the_others_do_not() -> None:
    scores = torch.full((2, 4, 5), 0.5)
    scores[0, 1, 2] = 0.0
    found = harmonic_aggregation(scores, 2)
    assert_close(found[0, 1:3, 2:4], torch.zeros(2, 2))
    found[0, 1:3, 2:4] = 0.5
    assert_close(found, torch.full((2, 5, 6), 0.5))


def test_a_score_below_0_by_rounding_counts_as_0() -> None:
    assert harmonic_aggregation(torch.full((1, 2, 2), -1e-9), 2).tolist() == [[[0.0] * 3] * 3]


@pytest.mark.parametrize(
    ("side", "long", "step", "first"),
    [
        (37, 27, 10, [0, 10]),
        (37, 17, 10, [0, 10, 20]),
        (37, 19, 6, [0, 6, 12, 18]),
        (10, 4, 4, [0, 4, 6]),
        (3, 3, 1, [0]),
    ],
)
def test_overlapping_windows_begin_at_each_stride_and_the_last_ends_with_the_grid(
    side: int, long: int, step: int, first: list[int]
) -> None:
    found = overlapping_windows(side, side, long / side, step / side)
    assert [(rows.start, columns.start) for rows, columns in found] == [
        (down, right) for down in first for right in first
    ]
    assert {part.stop - part.start for window in found for part in window} == {long}


def test_a_window_is_at_least_a_place_and_at_most_the_grid() -> None:
    assert overlapping_windows(1, 2, 0.1, 0.1) == [(slice(0, 1), slice(0, 1)), (slice(0, 1), slice(1, 2))]
    assert overlapping_windows(3, 5, 1.0, 0.5) == [(slice(0, 3), slice(0, 5))]


def test_the_mean_of_windows_is_that_of_those_that_cover_a_place() -> None:
    windows = overlapping_windows(5, 6, 0.6, 0.4)
    parts = [torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(number)) for number in range(len(windows))]
    found = mean_of_windows(parts, windows, (5, 6))
    for y in range(5):
        for x in range(6):
            covering = [
                part[:, y - rows.start, x - columns.start]
                for part, (rows, columns) in zip(parts, windows, strict=True)
                if rows.start <= y < rows.stop and columns.start <= x < columns.stop
            ]
            assert_close(found[:, y, x], torch.stack(covering).mean(0))


def test_what_was_seen_in_a_window_is_resized_to_it() -> None:
    windows = overlapping_windows(4, 4, 0.5, 0.5)
    steep = torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [2.0, 2.0, 2.0]])[None]
    found = mean_of_windows([steep, 3 + steep, steep, steep], windows, (4, 4))
    assert found[0, :, 0].tolist() == [0, 2, 0, 2]
    assert found[0, :2, 2:].tolist() == [[3, 3], [5, 5]]


def test_a_window_of_the_picture_is_as_large_as_the_picture() -> None:
    images = torch.rand(2, 3, 12, 8, generator=torch.Generator().manual_seed(0))
    whole, part = (slice(0, 6), slice(0, 4)), (slice(2, 4), slice(1, 4))
    assert torch.equal(enlarge_window(images, whole, (6, 4)), images)
    found = enlarge_window(images, part, (6, 4))  # of rows 4 to 7 and columns 2 to 7
    assert found.shape == images.shape
    assert torch.equal(found[..., 0, 0], images[..., 4, 2])
    assert_close(found[..., -1, -1], images[..., 7, 7])
    down = 3 * 5 / 11  # the fifth of twelve rows lies so far between the first and the last of four
    expected = images[..., 5, 2] + (down - 1) * (images[..., 6, 2] - images[..., 5, 2])
    assert_close(found[..., 5, 0], expected)
