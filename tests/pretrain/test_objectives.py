"""Every loss against its definition, written out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from blemish.pretrain.objectives import Distillation


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


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
