"""Shown defects: where a picture resembles one of them more than it resembles any good part."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.blocks.memory import MemoryBank
from blemish.blocks.patches import join_layers
from blemish.types import Encoder

QUANTILE = 0.999


class Resemblance(NamedTuple):
    """How much each patch is like a shown defect, and which one."""

    amount: Tensor  # (...), in [0, 1]: 0 where a good patch is as near, 1 where it is the defect itself
    row: Tensor  # (...), the number of the nearest defect patch


class Exemplars(nn.Module):
    """Patches of shown defects (K, D), and of good parts for contrast (M, D).

    A patch counts as like a defect from where it is nearer to it than to any good patch by `margin`, in 1 - cos.
    """

    def __init__(self, defects: Tensor, good: Tensor, margin: float) -> None:
        super().__init__()
        self.margin = margin
        self.defects, self.good = MemoryBank(), MemoryBank()
        self.defects.hold(defects)
        self.good.hold(good)

    def forward(self, patches: Tensor) -> Resemblance:
        """Of patches (..., D), as `described` returns them."""
        near, row = (found.squeeze(-1) for found in self.defects.nearest(patches))
        far = self.good.distance(patches).clamp_min(torch.finfo(patches.dtype).tiny)
        return Resemblance(((far - near - self.margin) / far).clamp(0, 1), row)


def described(encoder: Encoder, images: Tensor) -> Tensor:
    """Unit features of patches, each on its own: the layers at a half and three quarters of the depth, (N, h, w, D)."""
    layers = (encoder.depth // 2, encoder.depth * 3 // 4)
    return F.normalize(join_layers([F.normalize(p, dim=-1) for p in encoder(images, layers=layers).patches]), dim=-1)


def margin(good: Tensor, pictures: Tensor, defects: Tensor) -> float:
    """How much nearer to a defect than to the good patches of other pictures good patches (M, D) are at most, in
    1 - cos; all but 1 of 1,000 of them, never below 0. `pictures` (M,) says which one a patch is of.
    """
    if len(pictures.unique()) < 2:
        return 0.0
    alike = (good @ good.T).masked_fill_(pictures[:, None] == pictures, -1)
    excess = (good @ defects.T).amax(1) - alike.amax(1)
    return max(0.0, float(torch.quantile(excess, QUANTILE, interpolation="higher")))
