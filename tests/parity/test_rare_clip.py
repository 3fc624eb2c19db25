"""RareCLIP on the layers of `methods/rare_clip.safetensors`, against what the authors' class made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest
import torch
from tests.parity.test_methods import Playback, assert_near, numbered, stored
from tests.support.learning import learn
from torch import Tensor

from blemish.detectors.rare_clip import RareCLIP
from blemish.types import Batch, Encoder, Features

SIDE = 48


class Player(Playback):
    """Stored layers and embeddings, and sentences that all say the same."""

    can, width = frozenset({"text"}), 10

    def __call__(self, images: Tensor, *, layers: Sequence[int] = ()) -> Features:
        seen = super().__call__(images, layers=layers)
        return seen._replace(image=stored("rare_clip")["embedding"][images[:, 0, 0, 0].long()])

    def project(self, patches: Tensor) -> Tensor:
        return patches

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        return torch.ones(len(texts), 10)


@pytest.fixture
def detector() -> RareCLIP:
    data = stored("rare_clip")
    layers = {number: data[f"layer{number}"] for number in (1, 2, 3)}
    player = cast(Encoder, Player(layers, patch_size=8))
    made = RareCLIP(player, layers=(1, 2), text_layers=(2, 3), kept=1.5, pictures=5, images=8, every=3)
    heads = {f"heads.{n}.{kind}": data[f"{kind}{n}"] for n in (0, 1) for kind in ("weight", "bias")}
    made.heads.load_state_dict(heads)
    made.texts.copy_(data["texts"])
    made.updates.add()
    return made


def assert_agrees(found: tuple[Tensor | None, ...], name: str) -> None:
    score, whole = found[:2]
    assert score is not None
    assert whole is not None
    assert_near(whole, stored("rare_clip")[f"{name}.anomaly_map"], rtol=1e-4, atol=1e-5)
    assert_near(score, stored("rare_clip")[f"{name}.image_score"], rtol=1e-4, atol=1e-5)


def test_a_stream_scores_alike_and_then_pictures_that_are_not_remembered(detector: RareCLIP) -> None:
    assert_agrees(detector(torch.cat([numbered(0, 1, SIDE, SIDE), numbered(3, 1, SIDE, SIDE)])), "text")
    first, rest = detector.follow(numbered(0, 4, SIDE, SIDE)), detector.follow(numbered(4, 6, SIDE, SIDE))
    both = (torch.cat([one, other]) for one, other in zip(first[:2], rest[:2], strict=True))
    assert_agrees(tuple(both), "online")
    assert_agrees(detector(numbered(10, 2, SIDE, SIDE)), "offline")


@pytest.mark.parametrize("shots", [1, 3])
def test_good_parts_come_first_and_count_alike(detector: RareCLIP, shots: int) -> None:
    learn(detector, [numbered(number, 1, SIDE, SIDE) for number in range(shots)])
    assert_agrees(
        detector(torch.cat([numbered(3, 1, SIDE, SIDE), numbered(10, 1, SIDE, SIDE)])), f"shots{shots}.before"
    )
    assert_agrees(detector.follow(numbered(shots, 10 - shots, SIDE, SIDE)), f"shots{shots}.online")
    assert_agrees(detector(numbered(10, 2, SIDE, SIDE)), f"shots{shots}.after")


def test_a_training_step_has_the_same_losses_and_gradients(detector: RareCLIP) -> None:
    data = stored("rare_clip")
    (group,) = detector.trained_parameters()
    detector.heads.requires_grad_(True)
    losses = detector.loss(Batch(numbered(0, 4, SIDE, SIDE), data["masks"] > 0.5))
    for name, loss in losses.items():
        assert_near(loss, data[f"loss.{name}"], rtol=1e-4, atol=1e-5)
    found = torch.autograd.grad(torch.stack(list(losses.values())).sum(), list(group.parameters))
    assert_near(torch.stack([each.norm() for each in found]).norm(), data["gradient_norm"], rtol=1e-4)
