"""The same part, lying differently."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256

import torch
from torch import Tensor, nn
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


_MIRRORED = ((-1,), (-2,), (-2, -1))  # the axes of (H, W)


def mirrors(images: Tensor) -> Iterator[Tensor]:
    """Images mirrored left to right, top to bottom, and both ways: (N, C, H, W) -> three of the same shape."""
    return (images.flip(axes) for axes in _MIRRORED)


def mirror_back(grids: Iterable[Tensor]) -> Iterator[Tensor]:
    """Grids (N, h, w, C) of what was seen of each of `mirrors`, lying as in the images themselves."""
    pairs = zip(grids, _MIRRORED, strict=True)
    return (grid.flip([axis - 1 for axis in axes]) for grid, axes in pairs)


def turns(count: int) -> Callable[[Tensor], Iterator[Tensor]]:
    """Views of images (N, C, H, W): turned to as many even angles as make `count` with the images themselves."""
    return lambda images: (rotate(images, 360 * turn / count) for turn in range(1, count))


def random_turns(count: int, seed: int) -> Callable[[Tensor], Iterator[Tensor]]:
    """Views of images (N, C, H, W): each turned to `count` angles of its own, drawn by the seed and its pixels.

    What else is in the batch has no say in them.
    """

    def views(images: Tensor) -> Iterator[Tensor]:
        angles = torch.stack([torch.rand(count, generator=_generator(image, seed)) for image in images]) * 360
        for turn in angles.T.tolist():
            yield torch.cat([rotate(image[None], angle) for image, angle in zip(images, turn, strict=True)])

    return views


def _generator(image: Tensor, seed: int) -> torch.Generator:
    pixels = image.detach().cpu().contiguous().numpy().tobytes()
    number = int.from_bytes(sha256(seed.to_bytes(8, "little", signed=True) + pixels).digest()[:8], "little")
    return torch.Generator().manual_seed(number >> 1)


class Views(nn.Module):
    """Images, and other views of them as well if those that were learned first were at most `few`.

    That is decided once, by `count_images`, and stored with what is learned: whatever is added later, or forgotten,
    changes nothing about the views of the others.
    """

    wanted: Tensor  # uint8 (), whether other views are learned

    def __init__(self, few: int, views: Callable[[Tensor], Iterable[Tensor]]) -> None:
        super().__init__()
        self.few, self.views = few, views
        self.register_buffer("wanted", torch.ones((), dtype=torch.uint8))

    def count_images(self, count: int) -> None:
        """Decide by the number of images that are learned first."""
        self.wanted.fill_(count <= self.few)

    def forward(self, images: Tensor) -> Iterator[Tensor]:
        """(N, C, H, W) -> one or more of the same shape."""
        yield images
        if self.wanted:
            yield from self.views(images)


def views_of(detector: object) -> list[Views]:
    """Whatever decides about views in a detector."""
    assert isinstance(detector, nn.Module)
    return [module for module in detector.modules() if isinstance(module, Views)]
