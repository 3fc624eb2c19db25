from __future__ import annotations

import pytest
import torch
from scipy import ndimage
from sklearn.decomposition import PCA
from torch import Tensor

from blemish.blocks.foreground import foreground, foreground_probability


def part(height: int = 16, width: int = 20, *, sign: float = 1.0, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Features of a part in the middle and of a background that differs along one direction, and where the part is."""
    generator = torch.Generator().manual_seed(seed)
    where = torch.zeros(height, width, dtype=torch.bool)
    where[4:-4, 5:-5] = True
    direction = torch.randn(8, generator=generator)
    level = torch.where(where, 30.0, -30.0) * sign
    return level[..., None] * direction / direction.square().sum().sqrt() + torch.randn(
        height, width, 8, generator=generator
    ), where


def slow(grid: Tensor, threshold: float) -> Tensor:
    """Every step by scikit-learn and scipy; the sign that covers more of the centre."""
    rows = grid.flatten(0, 1).double().numpy()
    component = PCA(1, svd_solver="full").fit_transform(rows).reshape(grid.shape[:2])
    height, width = component.shape
    inner = slice(int(height * 0.2), int(height * 0.8)), slice(int(width * 0.2), int(width * 0.8))
    mask = max((component > threshold, -component > threshold), key=lambda found: found[inner].mean())
    box = torch.ones(3, 3).bool().numpy()
    wide = ndimage.binary_dilation(mask, box)
    return torch.from_numpy(ndimage.binary_erosion(ndimage.binary_dilation(wide, box), box, border_value=1))


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("seed", range(4))
def test_the_part_in_the_middle_is_found_whatever_the_sign_of_the_component(sign: float, seed: int) -> None:
    grid, where = part(sign=sign, seed=seed)
    found = foreground(grid[None])[0]
    assert found.dtype == torch.bool
    assert torch.equal(found, slow(grid, 10.0))
    assert found[where].all()
    assert not found[:2].any()
    assert not found[:, :3].any()


def test_each_picture_has_a_mask_of_its_own() -> None:
    grids = torch.stack([part(sign=1.0)[0], part(sign=-1.0, seed=5)[0]])
    together = foreground(grids)
    assert torch.equal(together, torch.cat([foreground(grids[:1]), foreground(grids[1:])]))


def test_features_without_contrast_have_no_foreground() -> None:
    assert not foreground(torch.ones(1, 6, 6, 4)).any()


def test_a_hole_that_dilation_leaves_open_is_closed() -> None:
    grid, _ = part()
    grid[6:10, 8:12] = grid[:4, :4]
    assert foreground(grid[None])[0, 6:10, 8:12].all()


def test_the_middle_is_likelier_the_part_than_the_border() -> None:
    grid = 0.1 * torch.randn(2, 8, 8, 6, generator=torch.Generator().manual_seed(0))
    grid[:, 2:6, 2:6, 0] += 3.0
    grid[1] *= -1  # whatever the sign of a component
    found = foreground_probability(grid)
    assert found[:, 2:6, 2:6].min() > 0.9
    assert found[:, 0].max() < 0.4
    rows = grid[0].flatten(0, 1) - grid[0].flatten(0, 1).mean(0)
    component = (rows @ torch.linalg.eigh(rows.T @ rows).eigenvectors[:, -1]).view(8, 8)
    component = component * component[4, 4].sign()
    torch.testing.assert_close(
        found[0], (2 * component / component.square().mean().sqrt()).sigmoid(), rtol=1e-4, atol=1e-5
    )
