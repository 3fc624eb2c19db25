"""The same part, lying differently."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F


def rotate(images: Tensor, degrees: float) -> Tensor:
    """Images turned counter-clockwise about their centre, mirrored beyond the border: (N, C, H, W) -> same shape."""
    height, width = images.shape[-2:]
    angle = torch.deg2rad(torch.tensor(degrees, dtype=images.dtype, device=images.device))
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    matrix = torch.stack([cos, -sin * height / width, zero, sin * width / height, cos, zero]).view(1, 2, 3)
    # affine_grid works in [-1, 1] on each axis: the off-diagonal terms undo the aspect ratio.
    grid = F.affine_grid(matrix.expand(len(images), -1, -1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def mirrors(images: Tensor) -> Iterator[Tensor]:
    """Images mirrored left to right, top to bottom, and both ways: (N, C, H, W) -> three of the same shape."""
    return (images.flip(axes) for axes in ((-1,), (-2,), (-2, -1)))


def turned_while_few(
    batches: Iterable[Tensor], few: int, turn: Callable[[Tensor], Iterable[Tensor]]
) -> Iterator[Tensor]:
    """Every batch of images as it comes, and then what `turn` makes of each if there were at most `few` images."""
    held: list[Tensor] = []
    count = 0
    for images in batches:
        yield images
        count += len(images)
        held = [*held, images] if count <= few else []
    for images in held:
        yield from turn(images)
