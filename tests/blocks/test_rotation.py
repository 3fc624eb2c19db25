from __future__ import annotations

import pytest
import torch
from torch import Tensor

from blemish.blocks.rotation import Views, mirrors, random_turns, turns


def drawn(count: int, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, 16, 24, generator=torch.Generator().manual_seed(seed))


def test_random_turns_are_a_pictures_own_wherever_it_lies() -> None:
    images, views = drawn(4), random_turns(3, seed=7)
    together = torch.stack(list(views(images)))
    for at, image in enumerate(images):
        assert torch.equal(torch.stack(list(views(image[None])))[:, 0], together[:, at])
    again = torch.stack(list(views(images[[2, 0, 3, 1]])))
    assert torch.equal(again, together[:, [2, 0, 3, 1]])


def test_another_seed_and_another_picture_turn_otherwise() -> None:
    flat = torch.zeros(2, 3, 16, 24)
    flat[..., 8:, :] = 1
    flat[1, 0, 0, 0] = 0.01  # the same picture but for one pixel
    (one,), (other,) = random_turns(1, seed=1)(flat), random_turns(1, seed=-2)(flat)
    assert not torch.allclose(one, other, atol=0.1)
    assert not torch.allclose(one[0], one[1], atol=0.1)


@pytest.mark.parametrize(("count", "wanted"), [(0, True), (3, True), (4, False)])
def test_other_views_are_for_few_images(count: int, wanted: bool) -> None:
    views, images = Views(3, mirrors), drawn(2)
    views.count_images(count)
    found = list(views(images))
    assert torch.equal(found[0], images)
    assert len(found) == (4 if wanted else 1)
    again = Views(3, mirrors)
    again.load_state_dict(views.state_dict())
    assert len(list(again(images))) == len(found)


def test_even_turns_leave_out_the_picture_itself() -> None:
    images = drawn(1)
    assert len(list(turns(4)(images))) == 3
    assert not list(turns(1)(images))
    assert not list(turns(0)(images))
