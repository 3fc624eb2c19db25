"""What a backbone is trained for beside the losses of `blocks`: TAB's aim, distillation, and CVGSSL's."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.blocks.resampling import resample


class TabHead(nn.Module):
    """TAB's projection of image features (Lee & Lai, arXiv:2312.09480): u = W1 v, then LN(u + Drop(W2 relu(u)))."""

    def __init__(self, width: int, output: int, *, dropout: float = 0.5) -> None:
        super().__init__()
        self.first = nn.Linear(width, output)
        self.second = nn.Linear(output, output)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(output)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C) -> (N, D), of unit length."""
        u = self.first(features)
        return F.normalize(self.norm(u + self.dropout(self.second(F.relu(u)))), dim=-1)


class TabObjective(nn.Module):
    """TAB's loss: each good picture against the good texts of all products, each flawed twin against the flawed ones.

    Good is never held against flawed, as in the authors' code. The factor of the cosines is learned from log(1 / 0.07)
    and used as it is, so that it begins at 2.66; CLIP's would be its exponential.
    """

    def __init__(self, width: int, output: int) -> None:
        super().__init__()
        self.normal, self.abnormal = TabHead(width, output), TabHead(width, output)
        self.scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def forward(
        self, good: Tensor, flawed: Tensor, normal_texts: Tensor, abnormal_texts: Tensor, product: Tensor
    ) -> Tensor:
        """Features (N, C) of both twins, unit texts (K, D) of K products, the products' numbers (N,) -> a scalar."""
        # Deviation: the authors' code reshapes its table of texts where it should transpose it, so that a row there
        # mixes all products and is not of unit length. Given that table, this is their loss: nothing rescales texts.
        sides = ((self.normal(good), normal_texts), (self.abnormal(flawed), abnormal_texts))
        losses = [F.cross_entropy(self.scale * (z @ t.T), product) for z, t in sides]
        return losses[0] + losses[1]


class Distillation(nn.Module):
    """How far a student's maps are from explaining its teachers' maps, through linear heads that are thrown away."""

    def __init__(self, students: Sequence[int], teachers: Sequence[int]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Conv2d(s, t, 1) for s, t in zip(students, teachers, strict=True))

    def forward(self, maps: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
        """Maps (N, C, h, w) and as many targets of unit variance (N, c, h', w') -> mean squared error, a scalar."""
        losses = []
        for head, seen, target in zip(self.heads, maps, targets, strict=True):
            guess = cast(Tensor, head(seen))
            guess = guess if guess.shape[2:] == target.shape[2:] else resample(guess, target.shape[2:])
            losses.append(F.mse_loss(guess, target))
        return torch.stack(losses).mean()


def guided_losses(
    first: Tensor, predict: Callable[[Tensor], Tensor], others: Sequence[Tensor], guides: Sequence[Tensor]
) -> dict[str, Tensor]:
    """CVGSSL's terms of projected crops: the first one's (N, D), those of others, and what a guide sees of all of them.

    contrast: predictions of all crops choose the first one's projection among those of the batch. guide: the first
    one's prediction and what the guide sees of each crop choose one another. same: see `agreement_of_views`.
    """
    guess, aim = predict(first), first.detach()
    own = info_nce(aim, guess)
    contrast = torch.stack([info_nce(predict(each), aim) + own for each in others]).mean()
    guide = [info_nce(guess, each.detach()) + info_nce(guess.detach(), each) for each in guides]
    return {"contrast": contrast, "guide": torch.stack(guide).mean(), "same": 0.01 * agreement_of_views(guides)}


def info_nce(queries: Tensor, keys: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Cross entropy of each query (N, D) choosing its key among all (N, D) by cosine, times 2 T: a scalar."""
    logits = F.normalize(queries, dim=1) @ F.normalize(keys, dim=1).T / temperature
    return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device)) * (2 * temperature)


def agreement_of_views(views: Sequence[Tensor]) -> Tensor:
    """-log softmax over the batch of the highest cosine of each view (N, D) with the next, the last with the first.

    A scalar, the mean over views. The paper calls it self-constraint; of a batch it is the one pair that agrees most.
    """
    following = [*views[1:], *views[:1]]
    cosines = [F.cosine_similarity(one, other, dim=1) for one, other in zip(views, following, strict=True)]
    return torch.stack([each.logsumexp(0) - each.max() for each in cosines]).mean()
