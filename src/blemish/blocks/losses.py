"""Losses of maps and scores against the truth: each a scalar, lower is better."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish.blocks.maps import top_mean, upsample
from blemish.errors import BadInput
from blemish.types import Batch

SMOOTHING = 1e-5
"""How much less than 1 the true class counts as sure of itself, which keeps logarithms and gradients finite."""


def focal(logits: Tensor, target: Tensor, *, gamma: float = 2.0) -> Tensor:
    """Binary focal loss (arXiv:1708.02002, Eq. 4, without alpha) of logits (...) for targets in [0, 1]: a scalar."""
    probability = logits.sigmoid()
    missed = (target - probability).abs()
    return (missed**gamma * F.binary_cross_entropy_with_logits(logits, target, reduction="none")).mean()


def absolute_error(logits: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error (MAE) of the probabilities of logits (...) for targets in [0, 1]: a scalar in [0, 1]."""
    return F.l1_loss(logits.sigmoid(), target)


def margin_loss(low: Tensor, high: Tensor) -> Tensor:
    """Mean of how much what is to be lower (...) exceeds what is to be higher, where it does: a scalar.

    Of distances to two anchors it is the triplet loss without slack.
    """
    return F.relu(low - high).mean()


def balanced_focal(logits: Tensor, target: Tensor, *, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """`focal` with the paper's alpha, the weight of targets of 1, of each logit (...): (...)."""
    missed, weight = (target - logits.sigmoid()).abs(), alpha * target + (1 - alpha) * (1 - target)
    return weight * missed**gamma * F.binary_cross_entropy_with_logits(logits, target, reduction="none")


def weigh_by_trust(losses: Tensor, trust: Tensor, *, share: float = 0.1) -> Tensor:
    """Mean of c l - `share` log c, where c = 1 + exp(trust), of losses (...) and trust (...): a scalar.

    Trust grows where a loss is small; little is worth it where a mask is wrong (AnomalyVFM, arXiv:2601.20524).
    """
    certainty = 1 + trust.exp()
    return (certainty * losses - share * certainty.log()).mean()


def agreement_focal(logits: Tensor, target: Tensor, *, gamma: float = 2.0) -> Tensor:
    """`focal` where 1 - (p t + (1 - p) (1 - t)) is missed: the same for targets of 0 and 1; others stay undecided."""
    probability = logits.sigmoid()
    missed = target * (1 - probability) + (1 - target) * probability
    return (missed**gamma * F.binary_cross_entropy_with_logits(logits, target, reduction="none")).mean()


def focal_probability(
    probability: Tensor, target: Tensor, *, gamma: float = 2.0, smoothing: float = SMOOTHING
) -> Tensor:
    """`focal` of probabilities (...), where they are not a sigmoid's, as interpolated ones are: a scalar.

    The true class counts as 1 - `smoothing` sure, which keeps logarithm and gradient finite.
    """
    right = (1 - target) + (2 * target - 1) * probability  # as p or 1 - p, with one product to differentiate
    return focal_certainty(right, gamma=gamma, smoothing=smoothing)


def focal_certainty(right: Tensor, *, classes: int = 2, gamma: float = 2.0, smoothing: float = SMOOTHING) -> Tensor:
    """Focal loss of the probability (...) of the right one of several classes, which counts as 1 - `smoothing` sure."""
    others = smoothing / (classes - 1)
    right = (1 - smoothing - others) * right + (smoothing + others)
    return -((1 - right) ** gamma * right.log()).mean()


def choose_class(probability: Tensor, target: Tensor, numbers: Tensor) -> Tensor:
    """The probability of the right class: (N, K + 1, h, w) of no defect and K types -> (N, h, w).

    Where the target (N, h, w) is 0 that of no defect, elsewhere of the type, `numbers` (N,) from 1; else of any.
    """
    rows = torch.arange(len(numbers), device=numbers.device)
    defect = torch.where(
        (numbers > 0)[:, None, None], probability[rows, numbers.clamp_min(0)], probability[:, 1:].sum(1)
    )
    return torch.where(target > 0, defect, probability[:, 0])


def dice(probability: Tensor, target: Tensor, *, smooth: float = 1.0) -> Tensor:
    """1 - overlap of (N, h, w) maps, mean over the maps: a scalar in [0, 1]."""
    inside = (probability * target).sum((1, 2))
    return _miss(inside, probability.sum((1, 2)) + target.sum((1, 2)), smooth)


def _miss(inside: Tensor, total: Tensor, smooth: float) -> Tensor:
    return (1 - (2 * inside + smooth) / (total + smooth)).mean()


def segmentation(maps: Sequence[Tensor], target: Tensor) -> dict[str, Tensor]:
    """Focal loss, and dice loss of either class, of probabilities (N, h, w) for one target, summed over the maps."""
    overlap = [dice(each, target) + dice(1 - each, 1 - target) for each in maps]
    sums = torch.stack([focal_probability(each, target) for each in maps]).sum(), torch.stack(overlap).sum()
    return dict(zip(("focal", "dice"), sums, strict=True))


def whole_and_map(
    picture: Tensor, grid: Tensor, target: Tensor, *, weights: tuple[float, float] = (1.0, 1.0)
) -> dict[str, Tensor]:
    """Cross entropy of pictures, and `segmentation` of their maps, of logits (N,) and (N, h, w), by their weights.

    target: (N, H, W), 0 or 1; a picture is flawed where any of it is 1.
    """
    entropy = F.binary_cross_entropy_with_logits(picture, target.flatten(1).amax(1))
    terms = segmentation([upsample(grid.sigmoid(), target.shape[-2:])], target)
    return {"image": weights[0] * entropy} | {name: weights[1] * term for name, term in terms.items()}


def orthogonality(one: Tensor, other: Tensor) -> Tensor:
    """The square of the mean cosine of unit rows (N, D) with those of the other (N, D): a scalar in [0, 1]."""
    return (one * other).sum(-1).mean().square()


def patch_alignment(patches: Tensor, target: Tensor) -> Tensor:
    """relu(mean cosine of unlike pairs - mean cosine of alike pairs) of unit patches (N, h, w, D): a scalar (AF-CLIP).

    target: (N, h, w), 0 or 1; places with any other value are in no pair. Pairs are those within a picture, each place
    with itself too, and are never written out: the sum of a group's products is the product of its sums.
    """
    groups = [(target == value).to(patches) for value in (0.0, 1.0)]
    good, bad = (torch.einsum("nhwd,nhw->nd", patches, group) for group in groups)
    many, few = (group.sum((1, 2)) for group in groups)
    unlike = (good * bad).sum() / (many * few).sum().clamp_min(1)
    alike = (good.square().sum() + bad.square().sum()) / (many.square() + few.square()).sum().clamp_min(1)
    return margin_loss(unlike, alike)


def map_losses(maps: Sequence[Tensor], truth: Tensor) -> dict[str, Tensor]:
    """Focal and dice loss of several maps of probabilities (N, H, W), summed over the maps; the truth is 0 or 1."""
    size, keep = truth.sum((1, 2)), 1 - 2 * SMOOTHING
    base, slope = 1 - keep * truth, keep * (2 * truth - 1)
    focal, inside, covered = zip(
        *(cast(Any, _FocalAndSums).apply(each, truth, base, slope) for each in maps), strict=True
    )
    overlap = [_miss(one, all_of_it + size, 1.0) for one, all_of_it in zip(inside, covered, strict=True)]
    return {"focal": torch.stack(focal).sum(), "dice": torch.stack(overlap).sum()}


class _FocalAndSums(torch.autograd.Function):
    """`focal_probability` of a map p, and the sums of p t and of p that `dice` is made of.

    As one function it passes a map 19 times, forth and back, where torch would nearly 40 times: beside a light head
    that is most of a training step.
    """

    @staticmethod
    def forward(
        context: Any, probability: Tensor, truth: Tensor, base: Tensor, slope: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        right = torch.addcmul(base, slope, probability)  # how sure the right class is, (N, H, W)
        context.save_for_backward(right, truth, slope)
        wrong = 1 - right
        focal = -wrong.square().mul_(right.log()).mean()
        return focal, torch.mul(probability, truth, out=wrong).sum((1, 2)), probability.sum((1, 2))

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        right, truth, slope = context.saved_tensors
        focal, inside, covered = gradients
        wrong = 1 - right
        found = right.log().mul_(2).sub_(wrong / right).mul_(wrong).mul_(slope).mul_(focal / right.numel())
        return found.addcmul_(truth, inside[:, None, None]).add_(covered[:, None, None]), None, None, None


def likeness_loss(layers: Sequence[Tensor], embedding: Tensor) -> Tensor:
    """Mean of (1 - cos)^2 of every layer's patches (N, h, w, D) with their picture's embedding (N, D): a scalar."""
    whole = F.normalize(embedding, dim=-1)[:, None, :, None]
    return (1 - torch.cat([(F.normalize(each, dim=-1) @ whole).flatten() for each in layers])).square().mean()


def contrast(embeddings: Tensor, texts: Tensor, number: Tensor, scale: float) -> Tensor:
    """Cross entropy of each embedding (N, D) choosing its text among (K, D): a scalar."""
    return F.cross_entropy(scale * F.normalize(embeddings, dim=-1) @ F.normalize(texts, dim=-1).T, number)


def truncated_l1(margins: Tensor, target: Tensor, *, margin: float = 0.5) -> Tensor:
    """Mean of relu(margin + m) where the target is 0, plus mean of relu(margin - m) where it is more: a scalar.

    SuperSimpleNet's (arXiv:2408.03143, Eq. 3): margins (...) beyond `margin` on their side cost nothing more.
    """
    bad = (target > 0).to(margins.dtype)
    good = 1 - bad
    wrong = F.relu(margin + margins) * good, F.relu(margin - margins) * bad
    return wrong[0].sum() / good.sum().clamp_min(1) + wrong[1].sum() / bad.sum().clamp_min(1)


def open_cross_entropy(logits: Tensor, numbers: Tensor) -> Tensor:
    """Of the class (N,) of each row's regions (N, R, K + 1), class 0 being no defect, their mean: (N,).

    -1 says any but class 0, and costs -log(1 - p_0): a defect whose type nobody knows.
    """
    chosen = logits.gather(2, numbers.clamp_min(0)[:, None, None].expand(-1, logits.shape[1], 1))[..., 0]  # (N, R)
    meant = torch.where(numbers[:, None] < 0, logits[..., 1:].logsumexp(2), chosen)
    return (logits.logsumexp(2) - meant).mean(1)


def focal_of_peaks(logits: Tensor, *, share: float = 0.01, gamma: float = 4.0) -> Tensor:
    """Multiple-instance learning (MIL): focal loss of the mean of the highest `share` of each map (N, h, w) of a defect
    whose place nobody knows. A scalar, 0 for no map.
    """
    if not len(logits):
        return logits.sum()
    highest = top_mean(logits, share)
    return focal(highest, torch.ones_like(highest), gamma=gamma)


def grid_losses(logits: Tensor, truth: Tensor, known: Tensor) -> dict[str, Tensor]:
    """Focal and truncated L1 where the truth (N, h, w) is known, bool (N,); of the others' peaks a tenth of focal."""
    return {
        "map_focal": focal(logits[known], truth[known], gamma=4.0),
        "map_l1": truncated_l1(logits[known], truth[known]),
        "map_weak": 0.1 * focal_of_peaks(logits[~known]),
    }


def unlikeness(meant: Tensor, seen: Tensor, rows: Tensor) -> Tensor:
    """Mean of 1 - cosine of (N, D) and (N, D) over the chosen rows, bool (N,): a scalar, 0 for none."""
    apart = 1 - F.cosine_similarity(meant[rows], seen[rows], dim=-1)
    return apart.sum() / max(1, len(apart))


def attraction(cosines: Tensor, members: Tensor, *, temperature: float = 0.07) -> Tensor:
    """-log of the members' share of a softmax over all cosines (...) with one prompt; members is a bool mask of them.

    A scalar, 0 where there is no member. It ties a prompt to the patches that it should mean (CLIP-ADA).
    """
    logits, chosen = cosines.flatten() / temperature, members.flatten()
    if not chosen.any():
        return 0 * logits.sum()
    return logits.logsumexp(0) - logits[chosen].logsumexp(0)


def focal_contrast(members: Tensor, others: Tensor, temperature: float) -> Tensor:
    """Mean of (1 - p)^2 -log p, where p is a member's share of a softmax over its cosine and those of all others.

    Cosines (M,) and (K,) with one prompt: a scalar (InfoNCE, in which hard members count most).
    """
    logits = members / temperature
    share = logits - torch.logaddexp(logits, (others / temperature).logsumexp(0))
    return -((1 - share.exp()).square() * share).mean()


def even_contrast(logits: Tensor, members: Tensor) -> Tensor:
    """Mean cross entropy of (..., 2) of members, bool (...), choosing the second, plus that of others, the first.

    A scalar (InfoNCE with both sides alike heavy); a side without any place costs nothing.
    """
    choices = -logits.log_softmax(-1)
    good, bad = choices[..., 0][~members], choices[..., 1][members]
    return good.sum() / max(1, len(good)) + bad.sum() / max(1, len(bad))


def round_masks(covered: Tensor) -> Tensor:
    """The covered share of each place as 0 or 1; exactly one half stays undecided, as in AF-CLIP's code."""
    return torch.where(covered == 0.5, covered, (covered > 0.5).to(covered))


def masks_of(batch: Batch) -> Tensor:
    """The masks of a batch as 0 and 1 (N, H, W); raises BadInput where there are none."""
    if batch.masks is None:
        raise BadInput("training needs a mask of every picture that shows a defect, and this batch has none")
    return batch.masks.to(batch.images.dtype)
