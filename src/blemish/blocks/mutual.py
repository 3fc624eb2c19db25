"""Pictures that judge each other: what is normal is what most of them have."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish.blocks.learned import Learned, double
from blemish.blocks.rows import Rows

EXACT = 1 << 24
"""Integers below it are exact in float32."""


class PictureBank(Learned):
    """Pictures to compare with, a row each: its digest, its embedding, and a grid of patches a layer."""

    def __init__(self, layers: int) -> None:
        grids = [f"layer{number}: M h w C{number}" for number in range(layers)]
        super().__init__("digests: M two", "embeddings: M D", *grids)

    def hold(self, *rows: Tensor) -> None:
        """Replace the bank by digests (M, 2), embeddings (M, D) and grids (M, h, w, C)."""
        if not len(rows[0]):
            self.forget()
            return
        self.store(dict(zip(self.layout, rows, strict=True)))

    def recall(self) -> Rows:
        """Digests, embeddings and grids."""
        return tuple(map(self.get_buffer, self.layout))

    def same(self, digests: Tensor) -> Tensor:
        """Which of its pictures are these themselves (N, 2): bool (N, M), nowhere in a row if there is no other."""
        found = (digests[:, None] == self.get_buffer("digests")).all(-1)
        return found & ~found.all(1, keepdim=True)


def digest(images: Tensor) -> Tensor:
    """What tells a picture from others, whatever its batch: (N, 3, H, W) -> (N, 2), integers below `EXACT`."""
    values = (images.flatten(1) * 65535).round().long()
    weights = (torch.arange(1, values.shape[1] + 1, device=images.device) * 2654435761) % 2147483647
    total = (values * weights).sum(1)  # modulo 2 ** 64, so in any order
    return torch.stack([total % EXACT, (total // EXACT) % EXACT], 1).float()


def lowest_digests(digests: Tensor, count: int) -> Tensor:
    """Numbers, ascending, of at most `count` rows (M, 2), the same pictures whatever their order: a sample of them."""
    order = (digests[:, 0].long() * EXACT + digests[:, 1].long()).argsort(stable=True)
    return order[:count].sort().values


def standardize(patches: Tensor) -> Tensor:
    """Mean 0 and deviation 1 over all channels and places of a picture: (N, h, w, C) -> the same."""
    return F.layer_norm(patches, patches.shape[1:])


def distance_to_each(patches: Tensor, pictures: Tensor) -> Tensor:
    """Of unit patches to the nearest of every picture: (N, h, w, C), (M, h', w', C) -> (N, h, w, M), in [0, 2]."""
    rows, lots = pictures.flatten(1, 2), patches.flatten(0, 2).split(1024)  # what a processor's cache holds
    nearest = [torch.stack([(lot @ each.T).argmax(1) for each in rows], 1) for lot in lots]  # (1024, M) each
    # 2 - 2 cos cancels for close rows: distances are taken from differences.
    apart = [
        torch.stack([(lot - each[n]).norm(dim=1) for each, n in zip(rows, at.T, strict=True)], 1)
        for lot, at in zip(lots, nearest, strict=True)
    ]
    return torch.cat(apart).view(*patches.shape[:3], len(rows))


def lowest_mean(distances: Tensor, hidden: Tensor, share: float) -> Tensor:
    """Mean of the lowest `share`, at least one, of those that are not hidden: (N, h, w, M), (N, M) -> (N, h, w)."""
    count = (double((~hidden).sum(1)) * share).floor().clamp_min(1).float().to(distances.device)  # (N,)
    sums = distances.masked_fill(hidden[:, None, None], torch.inf).sort(-1).values.cumsum(-1)
    last = (count.long() - 1).view(-1, 1, 1, 1).expand(*sums.shape[:3], 1)
    return sums.gather(-1, last).squeeze(-1) / count.view(-1, 1, 1)


def mean_of_neighbours(scores: Tensor, others: Tensor, similarity: Tensor, counts: Sequence[int]) -> Tensor:
    """Scores (N,) averaged with the scores (M,) of the most similar pictures, by similarity (N, M): (N,).

    The mean over `counts` k of the weighted means of k pictures, itself among them with the weight 1; a similarity of
    -inf takes no part.
    """
    near, numbers = similarity.topk(min(max(counts) - 1, similarity.shape[1]), dim=1)
    weights = torch.cat([torch.ones_like(scores)[:, None], near.nan_to_num(neginf=0.0)], 1)
    values = torch.cat([scores[:, None], others[numbers]], 1)
    means = [(weights[:, :k] * values[:, :k]).sum(1) / weights[:, :k].sum(1) for k in counts]
    return torch.stack(means).mean(0)
