from __future__ import annotations

from typing import Literal

import pytest
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from blemish.blocks.maps import covered_cells, fuse_mean, maximum, smooth, top_mean, upsample
from blemish.blocks.resampling import resample
from blemish.blocks.windows import fuse_harmonic


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 3), (20, 33), (64, 64)])
@pytest.mark.parametrize("sigma", [0.6, 1.0, 4.0])
@pytest.mark.parametrize("radius", [None, 1, 3])
@pytest.mark.parametrize("border", ["reflect", "mirror"])
def test_smoothing_is_scipys_gaussian_filter(
    size: tuple[int, int], sigma: float, radius: int | None, border: Literal["reflect", "mirror"]
) -> None:
    maps = drawn(2, *size)
    expected = ndimage.gaussian_filter(maps.double().numpy(), sigma, axes=(1, 2), mode=border, radius=radius)
    assert_close(
        smooth(maps, sigma, radius=radius, border=border).double(), torch.from_numpy(expected), rtol=1e-5, atol=1e-6
    )


def test_a_window_far_wider_than_the_map_is_reflected_again_and_again() -> None:
    maps = drawn(1, 5, 4)
    expected = ndimage.gaussian_filter(maps.double().numpy(), 12.0, axes=(1, 2), mode="reflect")
    assert_close(smooth(maps, 12.0).double(), torch.from_numpy(expected), rtol=1e-5, atol=1e-6)


def test_no_deviation_leaves_the_map_as_it_is() -> None:
    maps = drawn(2, 4, 5)
    assert torch.equal(smooth(maps, 0.0), maps)


def test_smoothing_keeps_the_sum_and_a_level_map() -> None:
    maps = drawn(1, 30, 40)
    assert_close(smooth(maps, 3.0).sum(), maps.sum(), rtol=1e-5, atol=0)
    assert_close(smooth(torch.full((1, 6, 7), 0.3), 2.0), torch.full((1, 6, 7), 0.3))


def test_upsampling_is_linear_between_the_centres_of_patches() -> None:
    found = upsample(torch.tensor([[[0.0, 1.0]]]), (2, 4))
    assert_close(found, torch.tensor([[[0.0, 0.25, 0.75, 1.0]] * 2]))
    assert upsample(drawn(3, 4, 5), torch.Size([8, 15])).shape == (3, 8, 15)
    # With corners the outermost values lie on the border.
    assert torch.equal(upsample(torch.tensor([[[0.0, 1.0]]]), (1, 3), corners=True), torch.tensor([[[0.0, 0.5, 1.0]]]))


@pytest.mark.parametrize("corners", [False, True])
def test_upsampling_is_torchs_with_its_gradient_in_mixed_precision_too(corners: bool) -> None:
    grid = drawn(2, 5, 7).requires_grad_()
    expected = F.interpolate(grid[:, None], (33, 20), mode="bilinear", align_corners=corners)[:, 0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = upsample(grid, (33, 20), corners=corners)
    assert_close(found, expected)
    assert_close(*(torch.autograd.grad(each.square().sum(), grid)[0] for each in (found, expected)))


def test_means_of_maps_are_arithmetic_or_harmonic() -> None:
    maps = [drawn(2, 3, 4, seed=seed) + 0.01 for seed in range(3)]
    assert_close(fuse_mean(*maps), (maps[0] + maps[1] + maps[2]) / 3)
    assert_close(fuse_harmonic(*maps), 3 / (1 / maps[0] + 1 / maps[1] + 1 / maps[2]))
    assert_close(fuse_harmonic(maps[0]), maps[0])


def test_the_harmonic_mean_with_a_0_is_0() -> None:
    found = fuse_harmonic(torch.tensor([0.0, -1e-9, 0.5]), torch.tensor([0.7, 0.7, 0.5]))
    assert_close(found, torch.tensor([0.0, 0.0, 0.5]))


@pytest.mark.parametrize(("fraction", "count"), [(0.0, 1), (0.01, 1), (0.1, 6), (0.5, 30), (1.0, 60)])
def test_top_mean_is_the_mean_of_the_highest(fraction: float, count: int) -> None:
    maps = drawn(3, 6, 10)
    expected = [sorted(scores.flatten().tolist())[-count:] for scores in maps]
    assert_close(top_mean(maps, fraction), torch.tensor([sum(scores) / count for scores in expected]))


def test_maximum_is_that_of_each_map() -> None:
    maps = drawn(3, 4, 5)
    assert maximum(maps).tolist() == [max(scores.flatten().tolist()) for scores in maps]


def test_resampling_averages_on_a_coarser_grid_and_interpolates_on_a_finer() -> None:
    maps = drawn(2, 3, 6, 6)
    blocks = maps.unflatten(2, (3, 2)).unflatten(4, (3, 2)).mean((3, 5))
    assert_close(resample(maps, (3, 3)), blocks)
    fine = resample(maps, (12, 12))
    assert_close(fine, F.interpolate(maps, (12, 12), mode="bilinear"))
    assert_close(fine.mean(), maps.mean(), rtol=0, atol=0.05)
    assert torch.equal(resample(maps, (6, 6)), maps)


def test_a_cell_belongs_to_a_mask_that_covers_half_of_it() -> None:
    masks = torch.zeros(1, 8, 8)
    masks[0, :4, :2], masks[0, 4:, 5:8] = 1, 1
    expected = torch.tensor([[[True, False], [False, True]]])
    assert torch.equal(covered_cells(masks, (2, 2)), expected)
