"""Pictures held against good parts, place by place, and heads that are trained on what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.blocks.maps import fuse_mean, upsample
from blemish.blocks.memory import MemoryBank
from blemish.blocks.windows import fuse_harmonic

HIGHEST_PLACES = 10  # of each channel, whose mean speaks for the picture beside that of all


class ComparisonHead(nn.Module):
    """Whether a place that differs from a good part is a defect, and a picture defective (AdaptCLIP, arXiv:2505.09926).

    It sees x + |x - y|, x a place and y the good one nearest to it: what differs, and where. Each layer has its own
    batch norm; all else is shared, so that a training step updates its statistics once a layer.
    """

    def __init__(self, width: int, layers: int, *, hidden: int = 128) -> None:
        super().__init__()
        half = hidden // 2
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(layers))
        self.places = nn.Sequential(
            nn.Conv2d(width, hidden, 3, padding=1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            nn.ConvTranspose2d(hidden, hidden, 2, stride=2),
            nn.Conv2d(hidden, half, 3, padding=1, bias=False),
            nn.BatchNorm2d(half),
            nn.ReLU(),
            nn.ConvTranspose2d(half, half, 2, stride=2),
            nn.Conv2d(half, 2, 1),
        )
        self.whole = nn.Sequential(
            nn.Linear(width, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, half, bias=False),
            nn.BatchNorm1d(half),
            nn.ReLU(),
            nn.Linear(half, 2, bias=False),
        )

    def forward(self, layers: Sequence[Tensor], nearest: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Unit places (N, h, w, D) of each layer and the good ones nearest to them -> logits of a defect by each layer:
        of the picture (N,), and of its places (N, 4 h, 4 w).
        """
        found = []
        for norm, places, good in zip(self.norms, layers, nearest, strict=True):
            fused = norm((places + (places - good).abs()).movedim(-1, 1))  # (N, D, h, w)
            grid, flat = _margin(self.places(fused)), fused.flatten(2)
            highest = flat.topk(min(HIGHEST_PLACES, flat.shape[-1]), dim=-1).values.mean(-1)  # (N, D)
            found.append((_margin(self.whole((flat.mean(-1) + highest) / 2)), grid))
        return found

    def within(
        self, layers: Sequence[Tensor], good: Tensor, products: Sequence[str] | None
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """Pictures of a batch against another good one, see `choose_references`: their numbers (M,), and the logits.

        There are none where fewer than two have such a one, of which a batch norm would make nothing.
        """
        rows, others = choose_references(good, products)
        if len(rows) < 2:
            return rows, []
        units = [F.normalize(each, dim=-1) for each in layers]
        nearest = [nearest_of_pair(each[rows], each[others]) for each in units]
        return rows, self([each[rows] for each in units], nearest)

    def against(
        self, banks: Sequence[MemoryBank], layers: Sequence[Tensor], size: Sequence[int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures against what is remembered of good parts: the mean probability of a defect, of the picture (N,) and
        of its pixels (N, *size), and the harmonic mean of the distances (N, *size), over the layers.
        """
        units = [F.normalize(each, dim=-1) for each in layers]
        distances, nearest = nearest_of_banks(banks, units)
        found = self(units, nearest)
        score = fuse_mean(*(picture.sigmoid() for picture, _ in found))
        whole = fuse_mean(*(upsample(grid.sigmoid(), size) for _, grid in found))
        return score, whole, fuse_harmonic(*(upsample(each, size) for each in distances))


def _margin(logits: Tensor) -> Tensor:
    """The softmax over two classes is the sigmoid of this: (N, 2, ...) -> (N, ...)."""
    return logits[:, 1] - logits[:, 0]


def nearest_of_pair(places: Tensor, good: Tensor) -> Tensor:
    """Of each unit place (N, h, w, D) the nearest of its own good part (N, h', w', D): (N, h, w, D)."""
    rows = good.flatten(1, 2)
    numbers = (places.flatten(1, 2) @ rows.mT).argmax(-1)  # (N, h w)
    found = rows.gather(1, numbers[..., None].expand(-1, -1, rows.shape[-1]))
    return found.view_as(places)


def nearest_of_banks(banks: Sequence[MemoryBank], layers: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Of each layer's places (N, h, w, D) the distance (N, h, w) to the nearest row of its bank; and the rows.

    These are (N, h, w, D) too.
    """
    found = [bank.nearest(each) for bank, each in zip(banks, layers, strict=True)]
    rows = [bank.rows[number.squeeze(-1)] for bank, (_, number) in zip(banks, found, strict=True)]
    return [distance.squeeze(-1) for distance, _ in found], rows


def choose_references(good: Tensor, products: Sequence[str] | None = None) -> tuple[Tensor, Tensor]:
    """Pictures of a batch beside which there is another good one of the same product, and that one: their numbers (M,).

    good: bool (N,). Of several the next one in the batch, after whose last picture its first one follows.
    """
    count = len(good)
    names, is_good = products or ("",) * count, good.tolist()
    pairs = [
        (number, other)
        for number in range(count)
        for step in range(1, count)
        if is_good[other := (number + step) % count] and names[other] == names[number]
    ]
    first = {number: other for number, other in reversed(pairs)}
    found = torch.tensor(sorted(first.items()), dtype=torch.int64, device=good.device).view(-1, 2)
    return found[:, 0], found[:, 1]


def gather_adapters(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Of AdaptCLIP's file, in which shared heads stand once a layer, by our detector's names; without what it lacks."""
    steps = {"0": "narrow", "1": "norm", "3": "widen"}  # of a bottleneck
    found = dict[str, Tensor]()
    for before, after, names in (
        ("visual_learner.global_adapter.fc.", "whole", steps),
        ("visual_learner.local_adater.fc.", "places", steps),  # as they spell it
        ("pq_learner.sharebn.", "comparison.norms", {}),
        ("pq_learner.local_adapter.0.", "comparison.places", {}),
        ("pq_learner.global_adapter.0.", "comparison.whole", {}),
    ):
        for name in (each for each in theirs if each.startswith(before)):
            number, rest = name.removeprefix(before).split(".", 1)
            found[f"{after}.{names.get(number, number)}.{rest}"] = theirs[name]
    words = [theirs[name] for side in ("pos", "neg") if (name := f"textual_learner.ctx_{side}") in theirs]
    return found | ({"prompts.context": torch.cat(words).flatten(0, 1)} if words else {})
