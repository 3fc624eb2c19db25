from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from blemish.blocks.patches import describe_neighbours, join_layers, pool_neighbours
from blemish.blocks.rotation import rotate
from blemish.detectors.subspace_ad import relative_layers


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def neighbourhood(grid: Tensor, row: int, column: int, size: int) -> Tensor:
    """The size x size patches around one, outside 0: (h, w, C) -> (size, size, C)."""
    reach = size // 2
    padded = F.pad(grid, (0, 0, reach, reach, reach, reach))
    return padded[row : row + size, column : column + size]


@pytest.mark.parametrize("size", [1, 3, 5])
def test_neighbours_are_pooled_to_their_mean(size: int) -> None:
    patches = drawn(2, 4, 6, 3)
    found = pool_neighbours(patches, size)
    for row in range(4):
        for column in range(6):
            expected = neighbourhood(patches[1], row, column, size).mean((0, 1))
            assert_close(found[1, row, column], expected)


@pytest.mark.parametrize("width", [1, 5, 8, 27, 40])
@pytest.mark.parametrize("size", [1, 3])
def test_neighbours_are_described_by_averages_over_a_row_of_channels(width: int, size: int) -> None:
    patches = drawn(2, 4, 5, 3)
    found = describe_neighbours(patches, width, size)
    assert found.shape == (2, 4, 5, width)
    for row, column in ((0, 0), (1, 3), (3, 4)):
        line = neighbourhood(patches[1], row, column, size).permute(2, 0, 1).flatten()  # channel by channel
        count = len(line)
        ranges = [(at * count // width, -(-(at + 1) * count // width)) for at in range(width)]
        assert_close(found[1, row, column], torch.stack([line[low:high].mean() for low, high in ranges]))


def test_layers_are_joined_at_the_grid_of_the_first() -> None:
    fine, coarse = drawn(2, 4, 6, 3), drawn(2, 2, 3, 5, seed=1)
    nearest = join_layers([fine, coarse], mode="nearest")
    assert torch.equal(nearest[..., :3], fine)
    assert torch.equal(nearest[..., 3:], coarse.repeat_interleave(2, 1).repeat_interleave(2, 2))
    smooth = join_layers([fine, coarse])
    assert torch.equal(smooth[..., :3], fine)
    # Halfway between four coarse centres lies no fine one: a quarter from the nearer in each direction.
    weights = torch.tensor([0.75, 0.25])
    expected = torch.einsum("i,j,ijc->c", weights, weights, coarse[0, :2, :2])
    assert_close(smooth[0, 1, 1, 3:], expected)


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 4])
def test_quarter_turns_of_a_square_are_exact(turns: int) -> None:
    images = drawn(2, 3, 12, 12)
    assert_close(rotate(images, 90 * turns), torch.rot90(images, turns, (2, 3)), rtol=0, atol=1e-5)


def test_half_a_turn_of_any_picture_is_exact() -> None:
    images = drawn(2, 3, 8, 14)
    assert_close(rotate(images, 180), images.flip(2, 3), rtol=0, atol=1e-5)


def smooth_picture(height: int, width: int) -> NDArray[np.float64]:
    rows, columns = np.mgrid[:height, :width]
    found: NDArray[np.float64] = np.sin(rows / 9) * np.cos(columns / 7) + 0.3 * np.sin((rows + 2 * columns) / 11)
    return found


@pytest.mark.parametrize(("height", "width"), [(60, 60), (48, 80)])
@pytest.mark.parametrize("degrees", [30.0, -75.0, 135.0])
def test_a_turn_keeps_the_aspect_and_is_counted_against_the_clock(height: int, width: int, degrees: float) -> None:
    picture = smooth_picture(height, width)
    expected = ndimage.rotate(picture, degrees, reshape=False, order=1, mode="reflect")
    found = rotate(torch.from_numpy(picture)[None, None], degrees)[0, 0].numpy()
    assert np.abs(found - expected).max() < 1e-5


def test_pictures_are_mirrored_beyond_the_border() -> None:
    assert rotate(torch.ones(1, 3, 10, 16), 45).min() > 0.999


@pytest.mark.parametrize(
    ("depth", "first", "last", "layers"),
    [(12, 0.5, 0.75, (6, 7, 8, 9)), (40, 0.55, 0.7, tuple(range(22, 29))), (1, 0.55, 0.7, (1,)), (4, 0.1, 0.1, (1,))],
)
def test_relative_layers_are_every_one_between_two_fractions(
    depth: int, first: float, last: float, layers: tuple[int, ...]
) -> None:
    assert relative_layers(depth, first, last) == layers
