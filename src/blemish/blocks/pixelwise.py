"""Trained heads on a grid of features: a logit of every place, and one of the whole picture."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MapHead(nn.Sequential):
    """Each place alone: (N, C, h, w) -> logits (N, 1, h, w)."""

    def __init__(self, channels: int, width: int = 1024) -> None:
        super().__init__(
            nn.Conv2d(channels, width, 1),
            nn.BatchNorm2d(width),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 1, 1, bias=False),
        )


class Judge(nn.Module):
    """One logit of each place: (..., C) -> (...), higher is more anomalous; begun as GLASS's discriminator is."""

    def __init__(self, channels: int, width: int = 1024) -> None:
        super().__init__()
        self.hidden = nn.Linear(channels, width)
        self.norm = nn.BatchNorm1d(width)
        self.out = nn.Linear(width, 1, bias=False)
        for linear in (self.hidden, self.out):
            nn.init.xavier_normal_(linear.weight)

    def forward(self, patches: Tensor) -> Tensor:
        """Batch norm is over all places at once."""
        hidden = F.leaky_relu(self.norm(self.hidden(patches.flatten(0, -2))), 0.2)
        logits: Tensor = self.out(hidden).view(patches.shape[:-1])
        return logits


class ScoreHead(nn.Module):
    """The picture, from its features and its map: what both have at most and on the mean."""

    def __init__(self, channels: int, width: int = 128) -> None:
        super().__init__()
        self.mix = nn.Sequential(nn.Conv2d(channels + 1, width, 5, padding=2), nn.BatchNorm2d(width), nn.ReLU())
        self.decide = nn.Linear(2 * width + 2, 1)

    def forward(self, features: Tensor, grid: Tensor) -> Tensor:
        """Features (N, C, h, w) and logits (N, 1, h, w) -> logits (N,)."""
        mixed = self.mix(torch.cat([features, grid], 1))  # (N, width, h, w)
        pooled = [pool for each in (mixed, grid) for pool in (each.amax((2, 3)), each.mean((2, 3)))]
        decided: Tensor = self.decide(torch.cat(pooled, 1)).squeeze(1)
        return decided


def initialise(module: nn.Module) -> None:
    """Xavier's normal weights, for `apply`: as both heads of SuperSimpleNet begin."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_normal_(module.weight)
