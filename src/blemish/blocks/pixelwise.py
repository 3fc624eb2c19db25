"""Trained heads on a grid of features: of every place, of the regions that these mark, and of the whole picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WARM, COLD = 0.5, 0.01  # bounds of the learned temperature


class MapHead(nn.Sequential):
    """Each place alone: (N, C, h, w) -> logits (N, 1, h, w)."""

    def __init__(self, channels: int, width: int = 1024) -> None:
        first, last = nn.Conv2d(channels, width, 1), nn.Conv2d(width, 1, 1, bias=False)
        super().__init__(first, nn.BatchNorm2d(width), nn.LeakyReLU(0.2, inplace=True), last)

    def after(self, adapter: nn.Conv2d, features: Tensor) -> Tensor:
        """Logits of adapted features, in use: its first convolution and the adapter, 1 x 1 both, are one."""
        _, norm, bend, last = cast(list[nn.Conv2d], list(self))
        return cast(Tensor, last(bend(norm(F.conv2d(features, *self._join(adapter))))))

    def learn_after(self, adapter: nn.Conv2d, features: Tensor, noise: Tensor, spots: Tensor) -> Tensor:
        """Logits of adapted features (N, C, h, w) taken twice, with noise (M, C) in spots (2N, h, w): (2N, 1, h, w).

        In training: W (A x + n) is W A x, which both copies share, and W n where there is noise.
        """
        first, norm, bend, last = cast(list[nn.Conv2d], list(self))
        hidden = F.conv2d(features, *self._join(adapter)).permute(0, 2, 3, 1).flatten(0, 2)  # (N h w, width)
        places = spots.flatten().nonzero()[:, 0]
        both = torch.cat([hidden, hidden]).index_add_(0, places, F.linear(noise, first.weight.flatten(1)))
        bent = bend(norm(both.view(*spots.shape, -1).permute(0, 3, 1, 2)))  # (2N, width, h, w), channels last
        return F.linear(bent.permute(0, 2, 3, 1), last.weight.flatten(1)).permute(0, 3, 1, 2)

    def _join(self, adapter: nn.Conv2d) -> tuple[Tensor, Tensor]:
        """The weight (width, C, 1, 1) and the bias of both convolutions."""
        bias = self[0](cast(Tensor, adapter.bias)[:, None, None]).flatten()
        return torch.einsum("wcyx,cdyx->wdyx", cast(Tensor, self[0].weight), adapter.weight), bias


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
        hidden = F.leaky_relu(self.norm(self.hidden(patches.flatten(0, -2))), 0.2, inplace=True)
        logits: Tensor = self.out(hidden).view(patches.shape[:-1])
        return logits


class ScoreHead(nn.Module):
    """The picture, from its features and its map: what both have at most and on the mean.

    reduced: places of 2 x 2 are joined before, and so many channels mixed from theirs; 0: all are read as they are,
        which is most of the work.
    """

    def __init__(self, channels: int, width: int = 128, *, reduced: int = 0) -> None:
        super().__init__()
        self.reduce = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(channels, reduced, 1)) if reduced else nn.Identity()
        read = (reduced or channels) + 1
        self.mix = nn.Sequential(nn.Conv2d(read, width, 5, padding=2), nn.BatchNorm2d(width), nn.ReLU())
        self.decide = nn.Linear(2 * width + 2, 1)

    def forward(self, features: Tensor, grid: Tensor) -> Tensor:
        """Features (N, C, h, w) and logits (N, 1, h, w) -> logits (N,)."""
        read = self.reduce(features)
        mixed = self.mix(torch.cat([read, F.adaptive_max_pool2d(grid, read.shape[2:])], 1))  # (N, width, h', w')
        pooled = [pool for each in (mixed, grid) for pool in (each.amax((2, 3)), each.mean((2, 3)))]
        decided: Tensor = self.decide(torch.cat(pooled, 1)).squeeze(1)
        return decided


class TypeHead(nn.Module):
    """Features of a region and of its whole picture -> a unit vector in the space of sentences.

    fused: another embedding of the picture in that space is added, by a learned weight that begins as 0.
    """

    def __init__(self, channels: int, output: int, *, width: int = 256, fused: bool = False) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(2 * channels, width), nn.Linear(width, output)
        self.temperature = nn.Parameter(torch.tensor(0.07).log())
        self.gate = nn.Parameter(torch.zeros(1)) if fused else None

    def forward(self, regions: Tensor, whole: Tensor, seen: Tensor | None = None) -> Tensor:
        """Regions (N, R, C), mean features (N, C) and the other embedding (N, D) -> (N, R, D)."""
        both = torch.cat([regions, whole[:, None].expand_as(regions)], -1)
        meant: Tensor = self.outer(F.relu(self.inner(both)))
        if self.gate is not None and seen is not None:
            meant = meant + self.gate * F.normalize(seen, dim=-1)[:, None]
        return F.normalize(meant, dim=-1)

    def logits(self, meant: Tensor, texts: Tensor) -> Tensor:
        """Unit vectors (..., D) against sentences (K, D): (..., K)."""
        return meant @ texts.T / self.temperature.exp().clamp(COLD, WARM)


def name_regions(regions: Regions, probability: Tensor, sure: float, size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """By probabilities (N, 1 + R, 1 + K), the first that of no defect: those of the regions together (N, K), and a map.

    The map (N, *size) has the number of each place's type: -1, unknown, where no type has more than `sure`, or none is
    likelier than no defect. Places outside of all regions have the type of the first one.
    """
    best = probability[:, 1:, 1:].max(-1)  # (N, R)
    certain = (best.values > sure) & (best.values > probability[:, 1:, 0])
    numbers = best.indices.masked_fill(~certain, -1)
    region = regions.members.argmax(1)  # (N, h, w), the first where there is none
    grid = numbers.gather(1, region.flatten(1)).view_as(region)
    return probability[:, 0, 1:], F.interpolate(grid[:, None].float(), list(size), mode="nearest-exact")[:, 0].long()


class Regions(NamedTuple):
    """The `most` heaviest regions of each picture, heaviest first; where there are fewer, the others are empty."""

    members: Tensor  # (N, R, h, w), the weight of each place, 0 outside of the region
    features: Tensor  # (N, 1 + R, C), weighted means, of all regions together and of each; 0 for an empty region


def components(inside: Tensor, *, rounds: int = 8) -> Tensor:
    """Numbers, 1 and more, of places that touch by a side or a corner, 0 outside: bool (N, h, w) -> int64 (N, h, w).

    Each place begins as a region of its own, and in each round all join the highest region that they touch, until none
    touches another, or so many `rounds` are over: enough for the longest windings in 64 x 64 places.
    """
    within = inside.float()
    own = torch.arange(1.0 + inside[0].numel(), device=inside.device)
    labels = within * own[1:].view(inside.shape[1:])
    for _ in range(rounds):
        touched = F.max_pool2d(labels, 3, 1, 1) * within
        if not torch.compiler.is_compiling() and torch.equal(touched, labels):
            break  # which a graph cannot ask
        numbers = labels.flatten(1).long()
        joined = own.expand(inside.shape[0], -1).scatter_reduce(1, numbers, touched.flatten(1), "amax").long()
        for _ in range(5):  # the highest of the highest, 32 regions on
            joined = joined.gather(1, joined)
        labels = joined.gather(1, numbers).view_as(labels).float()
    return labels.long()


def pool_regions(features: Tensor, logits: Tensor, *, most: int = 8) -> Regions:
    """The regions where logits (N, h, w) exceed 0, and the weighted means of features (N, C, h, w) there.

    A place weighs the sigmoid of its logit. A picture without such a place has one region, of its highest logits.
    """
    labels = components(peaks(logits))
    weights = logits.sigmoid()
    flat = labels.flatten(1)
    mass = weights.new_zeros(flat.shape[0], flat.shape[1] + 1).scatter_add(1, flat, weights.flatten(1))
    mass[:, 0] = 0
    heaviest = mass.topk(min(most, mass.shape[1]), dim=1)  # (N, R)
    numbers = heaviest.indices.masked_fill(heaviest.values == 0, -1)
    members = (labels[:, None] == numbers[..., None, None]) * weights[:, None]
    together = members.sum(1, keepdim=True)
    return Regions(members, weighted_mean(features, torch.cat([together, members], 1)))


def pool_truth(features: Tensor, logits: Tensor, truth: Tensor, marked: Tensor) -> Tensor:
    """The same for training, of two regions a picture: (N, 2, C).

    The first is the truth (N, h, w) where `marked` (N,), else all peaks; the second all peaks, as they will be seen.
    """
    found = peaks(logits).to(truth)
    inside = torch.stack([torch.where(marked[:, None, None], truth, found), found], 1)
    return weighted_mean(features, inside * logits.detach().sigmoid()[:, None])


def weighted_mean(features: Tensor, weights: Tensor) -> Tensor:
    """Means of (N, C, h, w) by weights (N, R, h, w): (N, R, C), 0 where nothing has a weight."""
    total = weights.sum((2, 3))[..., None].clamp_min(torch.finfo(weights.dtype).tiny)
    return torch.einsum("nrhw,nchw->nrc", weights, features) / total


def peaks(logits: Tensor) -> Tensor:
    """Where logits (N, h, w) exceed 0, or, in a picture without such a place, are its highest: bool (N, h, w)."""
    return logits >= logits.amax((1, 2), keepdim=True).clamp_max(0)


def initialise(module: nn.Module) -> None:
    """Xavier's normal weights, for `apply`: as both heads of SuperSimpleNet begin."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_normal_(module.weight)
