"""Which patches belong to the part: AnomalyDINO's mask from the first principal component."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def foreground(patches: Tensor, *, threshold: float = 10.0, border: float = 0.2, least: float = 0.35) -> Tensor:
    """True on the part: (N, h, w, C) raw features -> (N, h, w) bool, per image.

    The first component of the image's own patches, above `threshold`; its negative where the central box (without a
    margin of `border`) holds at most `least` of foreground. Dilated and closed with a 3 x 3 box (AnomalyDINO, 3.2).
    Deviation: the authors' code dilates and closes the flattened mask, so along rows only and around their ends.
    """
    return torch.stack([_one(grid, threshold, border, least) for grid in patches])


def foreground_probability(patches: Tensor, *, rounds: int = 16) -> Tensor:
    """How likely each place belongs to the part: (N, h, w, C) -> (N, h, w), in (0, 1).

    The sigmoid of twice the first principal component of the picture's own patches, in units of its deviation; of its
    two signs the one by which the middle half exceeds the border. Found by power iteration, which a graph can do.
    """
    (height, width), rows = patches.shape[1:3], patches.flatten(1, 2)
    centred = rows - rows.mean(1, keepdim=True)  # (N, P, C)
    farthest = centred.norm(dim=-1, keepdim=True).argmax(1, keepdim=True)
    axis = F.normalize(centred.gather(1, farthest.expand(-1, -1, rows.shape[-1])), dim=-1).mT  # (N, C, 1)
    for _ in range(rounds):
        axis = F.normalize(centred.mT @ (centred @ axis), dim=1)
    component = (centred @ axis).view(-1, height, width)
    inner = component[:, height // 4 : height - height // 4, width // 4 : width - width // 4].mean((1, 2))
    sign = torch.where(inner >= 0, 1.0, -1.0)  # the mean of all is 0
    spread = component.square().mean((1, 2)).sqrt().clamp_min(1e-12)
    return (2 * component * (sign / spread)[:, None, None]).sigmoid()


def _one(grid: Tensor, threshold: float, border: float, least: float) -> Tensor:
    height, width = grid.shape[:2]
    rows = grid.flatten(0, 1)
    centred = rows - rows.mean(0)
    direction = torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -1]
    # The sign of a principal direction is arbitrary; fixed so that the result is the same everywhere.
    direction = direction * direction[direction.abs().argmax()].sign()
    component = (centred @ direction).view(height, width)
    mask = component > threshold
    inner = mask[int(height * border) : int(height * (1 - border)), int(width * border) : int(width * (1 - border))]
    if inner.float().mean() <= least:
        mask = -component > threshold
    return _erode(_dilate(_dilate(mask)))


def _dilate(mask: Tensor) -> Tensor:
    return F.max_pool2d(mask.float()[None, None], 3, 1, 1)[0, 0] > 0


def _erode(mask: Tensor) -> Tensor:
    return ~_dilate(~mask)
