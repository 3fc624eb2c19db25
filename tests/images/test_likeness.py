from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from blemish.images.likeness import fingerprint, likeness, same_parts


def part(seed: int, *, side: int = 192) -> Tensor:
    """One of a product: a design that all share, under texture of its own; uint8 (3, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    texture = F.interpolate(torch.randn(1, 1, 24, 24, generator=generator), (side, side), mode="bicubic")[0, 0]
    pixels = 128 + 14 * texture
    pixels[side // 3 : side // 2] += 40
    return pixels.clamp(0, 255).byte().expand(3, -1, -1).contiguous()


def noisy(picture: Tensor) -> Tensor:
    noise = 4 * torch.randn(picture.shape, generator=torch.Generator().manual_seed(0))
    return (picture.float() + noise).clamp(0, 255).byte()


def encoded_again(picture: Tensor) -> Tensor:
    file = BytesIO()
    Image.fromarray(picture.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=60)
    return torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)


COPIES: dict[str, Callable[[Tensor], Tensor]] = {
    "noisy": noisy,
    "encoded again": encoded_again,
    "darker": lambda picture: (picture.float() * 0.8).byte(),
    "moved": lambda picture: picture.roll((3, 5), (1, 2)),
}


def groups(pictures: list[Tensor]) -> list[list[int]]:
    return same_parts([fingerprint(picture) for picture in pictures], [str(at) for at in range(len(pictures))])


@pytest.mark.parametrize("count", [1, 2, 3, 20])
def test_different_parts_stay_apart(count: int) -> None:
    assert groups([part(seed) for seed in range(count)]) == [[at] for at in range(count)]


@pytest.mark.parametrize("copy", COPIES)
def test_another_picture_of_a_part_is_found(copy: str) -> None:
    pictures = [part(seed) for seed in range(8)]
    found = groups([*pictures, COPIES[copy](pictures[2])])
    assert found == [[0], [1], [2, 8], [3], [4], [5], [6], [7]]


def test_equal_files_are_one_part_and_blank_pictures_are_not() -> None:
    blank = fingerprint(torch.full((3, 64, 64), 90, dtype=torch.uint8))
    assert same_parts([blank] * 3, ["a", "b", "a"]) == [[0, 2], [1]]
    assert same_parts([], []) == []


def test_a_chain_of_pictures_is_one_part() -> None:
    one, other = fingerprint(part(0)), fingerprint(part(1))
    assert same_parts([one, other, one, other], ["a", "b", "c", "b"]) == [[0, 2], [1, 3]]


def test_likeness_to_itself_is_one_in_any_order() -> None:
    prints = torch.stack([fingerprint(part(seed)) for seed in range(3)])
    assert likeness(prints[1], prints)[1] == pytest.approx(1, abs=1e-5)
    assert likeness(prints[0], prints[2:])[0] == pytest.approx(float(likeness(prints[2], prints[:1])[0]), abs=1e-5)
