"""A convolutional decoder from the patches of one layer to a mask."""

from __future__ import annotations

from itertools import pairwise
from math import gcd
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

GROUPS = 32
"""Of channels that are normed together, or as many as divide them."""
PUBLISHED = {
    f"{ours}.{number}": f"{theirs}.{layer}"
    for ours, theirs in (("coarse", "bot"), ("fine", "blocks.0"))
    for number, layer in ((0, "conv1"), (1, "bn1"), (3, "conv2"), (4, "bn2"))
} | {"logits": "final", "trust": "final_conf"}
"""Our names of its layers, and those in files of AnomalyVFM's authors."""


class DecodedMask(NamedTuple):
    """Twice the grid that it was made of."""

    logits: Tensor  # (N, 2h, 2w), of a defect
    trust: Tensor  # (N, 2h, 2w), how much each is to be trusted: what training needs


class MaskDecoder(nn.Module):
    """Two 3 x 3 convolutions on the grid, two on the doubled grid with half the channels, a linear map of each place
    (AnomalyVFM's, arXiv:2601.20524).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.coarse, self.fine = _convolutions(channels, channels), _convolutions(channels, channels // 2)
        self.logits, self.trust = nn.Conv2d(channels // 2, 1, 1), nn.Conv2d(channels // 2, 1, 1)

    def forward(self, patches: Tensor) -> DecodedMask:
        """(N, h, w, C) -> DecodedMask."""
        coarse = self.coarse(patches.permute(0, 3, 1, 2))  # (N, C, h, w)
        fine = self.fine(F.interpolate(coarse, scale_factor=2.0))  # (N, C / 2, 2h, 2w)
        return DecodedMask(self.logits(fine).squeeze(1), self.trust(fine).squeeze(1))


def _convolutions(inputs: int, outputs: int) -> nn.Sequential:
    """Two, each with a norm over groups of channels and a ReLU."""
    layers = [
        layer
        for before, after in pairwise((inputs, outputs, outputs))
        for layer in (nn.Conv2d(before, after, 3, padding=1), nn.GroupNorm(gcd(GROUPS, after), after), nn.ReLU())
    ]
    return nn.Sequential(*layers)
