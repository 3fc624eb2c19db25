"""Every loss against its definition, written out."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from blemish.pretrain.objectives import Distillation, contrast, dice, focal, resampled


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0])
def test_focal_weighs_what_is_missed(gamma: float) -> None:
    logits, target = 3 * drawn(3, 4, 4), (uniform(3, 4, 4) > 0.5).float()
    losses = []
    for x, wanted in zip(logits.flatten().tolist(), target.flatten().tolist(), strict=True):
        p = 1 / (1 + math.exp(-x))
        right = p if wanted else 1 - p
        losses.append(-((1 - right) ** gamma) * math.log(right))
    assert float(focal(logits, target, gamma=gamma)) == pytest.approx(sum(losses) / len(losses), rel=1e-5)


def test_focal_is_least_at_a_target_between_0_and_1() -> None:
    target = torch.tensor([0.3])
    losses = [float(focal(torch.tensor([x]), target)) for x in (-3.0, math.log(0.3 / 0.7), 3.0)]
    assert losses[1] < min(losses[0], losses[2])
    assert losses[1] == pytest.approx(0, abs=1e-6)


def test_dice_is_one_minus_the_overlap_of_each_map() -> None:
    probability, target = uniform(3, 5, 6), (uniform(3, 5, 6, seed=1) > 0.7).float()
    wanted = 0.0
    for p, t in zip(probability, target, strict=True):
        wanted += 1 - (2 * float((p * t).sum()) + 1) / (float(p.sum()) + float(t.sum()) + 1)
    assert float(dice(probability, target)) == pytest.approx(wanted / 3, rel=1e-5)


def test_dice_is_0_for_a_perfect_map_and_nears_1_for_its_opposite() -> None:
    target = (uniform(2, 20, 20) > 0.5).float()
    assert float(dice(target, target)) == pytest.approx(0, abs=1e-6)
    assert float(dice(1 - target, target)) > 0.99
    assert float(dice(torch.zeros(2, 4, 4), torch.zeros(2, 4, 4))) == 0


def test_contrast_is_the_cross_entropy_of_scaled_cosines() -> None:
    embeddings, texts, number = drawn(4, 6), 3 * drawn(5, 6, seed=1), torch.tensor([2, 0, 4, 2])
    losses = []
    for row, wanted in zip(embeddings, number.tolist(), strict=True):
        cosines = [float(row @ text) / float(row.norm() * text.norm()) for text in texts]
        total = sum(math.exp(7 * cosine) for cosine in cosines)
        losses.append(-math.log(math.exp(7 * cosines[wanted]) / total))
    assert float(contrast(embeddings, texts, number, 7.0)) == pytest.approx(sum(losses) / 4, rel=1e-4)


def test_distillation_is_the_mean_square_of_what_a_linear_head_leaves_unexplained() -> None:
    objective = Distillation([3, 5], [2, 4])
    maps = [drawn(2, 3, 8, 8), drawn(2, 5, 4, 4, seed=1)]
    targets = [drawn(2, 2, 4, 4, seed=2), drawn(2, 4, 4, 4, seed=3)]
    wanted = []
    for number, (seen, target) in enumerate(zip(maps, targets, strict=True)):
        weight, bias = (getattr(objective.heads[number], name).detach() for name in ("weight", "bias"))
        guess = torch.einsum("nchw,dc->ndhw", seen, weight[:, :, 0, 0]) + bias[:, None, None]
        means = guess.unflatten(2, (4, -1)).unflatten(4, (4, -1)).mean((3, 5))
        wanted.append((means - target).square().mean())
    assert_close(objective(maps, targets), torch.stack(wanted).mean())


def test_a_student_that_knows_what_its_teacher_says_has_nothing_left_to_learn() -> None:
    objective, seen = Distillation([3], [3]).requires_grad_(False), drawn(2, 3, 4, 4)
    objective.load_state_dict({"heads.0.weight": torch.eye(3)[:, :, None, None], "heads.0.bias": torch.zeros(3)})
    assert float(objective([seen], [seen])) == 0
    assert float(objective([seen], [seen + 1])) == pytest.approx(1)


def test_every_map_needs_its_target() -> None:
    with pytest.raises(ValueError, match="argument 2"):
        Distillation([3, 3], [2, 2])([drawn(1, 3, 4, 4)], [drawn(1, 2, 4, 4)])


def test_resampling_averages_on_a_coarser_grid_and_interpolates_on_a_finer() -> None:
    maps = drawn(2, 3, 6, 6)
    blocks = maps.unflatten(2, (3, 2)).unflatten(4, (3, 2)).mean((3, 5))
    assert_close(resampled(maps, (3, 3)), blocks)
    fine = resampled(maps, (12, 12))
    assert_close(fine, F.interpolate(maps, (12, 12), mode="bilinear"))
    assert_close(fine.mean(), maps.mean(), rtol=0, atol=0.05)
    assert torch.equal(resampled(maps, (6, 6)), maps)
