from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, cast

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from blemish import encoders
from blemish.blocks.exemplars import CachedEncoder, Exemplars, margin, patch_descriptors
from blemish.errors import BadInput
from blemish.types import Capability, Encoder, Features, SeamEncoder, TextEncoder


def unit(*rows: tuple[float, float]) -> Tensor:
    return F.normalize(torch.tensor(rows, dtype=torch.float32), dim=-1)


def test_likeness_is_1_at_the_defect_0_from_halfway_and_less_by_the_margin() -> None:
    defects, good = unit((1, 0)), unit((0, 1))
    middle = unit((1, 1))
    exemplars = Exemplars(defects, good, 0.0)
    found = exemplars(torch.stack([defects, middle, good, unit((3, 1))]))
    assert found.amount.shape == (4, 1)
    assert_close(found.amount[:3, 0], torch.tensor([1.0, 0.0, 0.0]), rtol=0, atol=1e-6)
    near, far = 1 - 3 / 10**0.5, 1 - 1 / 10**0.5
    assert float(found.amount[3]) == pytest.approx((far - near) / far, abs=1e-5)
    strict = Exemplars(defects, good, 0.2)(unit((3, 1))).amount
    assert float(strict) == pytest.approx((far - near - 0.2) / far, abs=1e-5)


def test_the_nearest_defect_patch_is_named() -> None:
    exemplars = Exemplars(unit((1, 0), (-1, 0)), unit((0, 1)), 0.0)
    assert exemplars(unit((2, -1), (-2, -1))).row.tolist() == [0, 1]


def test_the_margin_is_how_near_good_patches_come_to_a_defect() -> None:
    good = unit((0, 1), (0.1, 1), (0, 1), (1, 0.9))
    pictures = torch.tensor([1, 1, 2, 2])
    # The last patch is nearer to the defect than to any patch of the other picture.
    defect = unit((1, 0))
    nearer = float(good[3] @ defect[0]) - float(good[3] @ good[1])
    assert margin(good, pictures, defect) == pytest.approx(nearer, abs=1e-6)
    assert margin(good[:3], pictures[:3], unit((0, -1))) == 0.0
    assert margin(good, torch.ones(4), defect) == 0.0


def test_patches_are_described_by_two_layers_as_unit_vectors() -> None:
    encoder = encoders.load("test-tiny")
    images = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    found = patch_descriptors(encoder, images)
    assert found.shape == (2, 8, 12, 128)
    assert_close(found.norm(dim=-1), torch.ones(2, 8, 12))
    changed = images.clone()
    changed[:, :, :8, :8] = 0
    assert (patch_descriptors(encoder, changed)[:, 0, 0] - found[:, 0, 0]).norm() > 0.1


class Counted:
    """An encoder that says how often it was asked."""

    def __init__(self) -> None:
        self.encoder, self.asked = encoders.load("test-tiny"), 0
        self.name, self.sha256, self.depth = "counted", "", self.encoder.depth
        self.image_size, self.patch_size = self.encoder.image_size, self.encoder.patch_size
        self.can, self.width, self.widths = frozenset[Capability](), self.encoder.width, self.encoder.widths

    def __call__(self, images: Tensor, *, layers: Sequence[int] = ()) -> Features:
        self.asked += 1
        return self.encoder(images, layers=layers)


def test_an_encoder_is_asked_once_for_the_same_images_and_gives_the_same() -> None:
    counted = Counted()
    once, images = CachedEncoder(counted), torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for layers in ((4, 1), (1,), (), (3, 2)):
        found, expected = once(images, layers=layers), counted.encoder(images, layers=layers)
        assert torch.equal(found.image, expected.image)
        assert all(torch.equal(one, other) for one, other in zip(found.patches, expected.patches, strict=True))
    assert counted.asked == 1
    assert torch.equal(patch_descriptors(once, images), patch_descriptors(counted.encoder, images))
    assert counted.asked == 1
    once(images.clone(), layers=(1,))
    assert counted.asked == 2


def test_what_was_seen_is_forgotten_when_told_to() -> None:
    once, images = CachedEncoder(encoders.load("test-tiny")), torch.zeros(1, 3, 64, 64)
    before = once(images, layers=(2,)).patches[0].clone()
    images += torch.rand(images.shape, generator=torch.Generator().manual_seed(0))
    once.clear()
    assert not torch.equal(once(images, layers=(2,)).patches[0], before)


def test_seams_pass_through_and_are_not_mixed_up_with_what_was_seen() -> None:
    encoder = cast(SeamEncoder, encoders.load("test-tiny"))
    once, images = CachedEncoder(encoder), torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    plain = once(images, layers=(4,))
    asked: list[dict[str, Any]] = [
        {"projected": True},
        {"attention": "vv", "last": 2},
        {"between": lambda tokens, depth: tokens * 0.5},
        {"extra": {2: torch.ones(1, 64)}},
        {"normed": False},
    ]
    for seams in asked:
        found, expected = once(images, layers=(4,), **seams), encoder(images, layers=(4,), **seams)
        assert torch.equal(found.image, expected.image)
        assert torch.equal(found.patches[0], expected.patches[0])
        assert not torch.equal(found.patches[0].sum(-1), plain.patches[0].sum(-1)) or not seams.get("normed", True)
        assert torch.equal(found.image, plain.image) == bool(set(seams) & {"projected", "attention"})
    assert torch.equal(once(images, layers=(4,)).patches[0], plain.patches[0])


def test_it_stands_for_its_encoder() -> None:
    reader = encoders.load("test-tiny")
    once = copy.deepcopy(CachedEncoder(reader))
    assert isinstance(once, Encoder)
    assert encoders.load(once, needs={"text", "windows", "prompts", "seams"}) is once
    assert torch.equal(once.encode_text(["a cap"]), cast(TextEncoder, reader).encode_text(["a cap"]))
    with pytest.raises(BadInput, match="counted only sees pictures"):
        encoders.load(CachedEncoder(Counted()), needs={"text"})
    with pytest.raises(AttributeError, match="nothing"):
        _ = once.nothing
