"""UniADC's head and loss on the layers of `methods/uniadc.safetensors`, against the authors'."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from tests.parity.test_methods import Playback, numbered, stored
from torch import Tensor
from torch.testing import assert_close

from blemish.detectors.uniadc import UniADC
from blemish.training.schedule import rate
from blemish.types import Batch, Capability, Features

TYPES = ("a", "b", "c")
PARTS = {
    "fusion.necks": "necks",
    "fusion.blocks": "fusionnets",
    "added.": "resConfUnit1.",
    "whole.": "resConfUnit2.",
    "convolution.": "conv1.",
    "norm.": "bn1.",
    ".out.": ".out_conv.",
}


class Reader(Playback):
    """Stored layers, and sentences that nobody compares with."""

    can, width = frozenset[Capability]({"text"}), 8

    def __call__(self, images: Tensor, *, layers: Any = ()) -> Features:
        found = super().__call__(images, layers=layers)
        return found._replace(image=torch.zeros(len(images), self.width))

    def encode_text(self, texts: list[str]) -> Tensor:
        return torch.ones(len(texts), self.width)

    def project(self, patches: Tensor) -> Tensor:
        return patches


def theirs(name: str) -> str:
    for ours, other in PARTS.items():
        name = name.replace(ours, other)
    return name.replace(".weight", ".project.0.weight") if name.startswith("necks") else name


@pytest.fixture
def detector() -> UniADC:
    data = stored("uniadc")
    player = Reader({1 + at: data[f"layer{at}"] for at in range(4)}, patch_size=4)
    made = UniADC(cast(Any, player), defects=TYPES, layers=(1, 2, 3, 4), image_size=20)
    own = [name for name in made.state_dict() if name.startswith(("fusion", "epsilon")) and "tracked" not in name]
    made.load_state_dict({name: data[f"weights.{theirs(name)}"] for name in own}, strict=False)
    made.texts = data["texts"]
    made.updates.add()
    return made


def test_map_score_and_types_are_those_of_the_authors(detector: UniADC) -> None:
    data, images = stored("uniadc"), numbered(0, 3, 20, 20)
    found = detector(images)
    assert_close(found.anomaly_map.logit(), data["test.detection"], rtol=1e-5, atol=1e-5)
    assert_close(found.image_score, data["test.score"], rtol=1e-5, atol=1e-6)
    named = torch.where(data["test.detection"] >= 0, data["test.classes"].argmax(1), -1)
    assert found.type_map is not None
    assert torch.equal(found.type_map, named)


def test_a_training_step_has_the_same_losses_and_gradients(detector: UniADC) -> None:
    data = stored("uniadc")
    types = tuple(("good", *TYPES)[number] for number in data["numbers"].tolist())
    parameters = {name: each for name, each in detector.named_parameters() if name.startswith(("fusion", "epsilon"))}
    detector.requires_grad_(True).train()
    losses = detector.loss(Batch(numbered(0, 3, 20, 20), masks=data["masks"], types=types))
    assert_close(losses["focal"], data["loss.focal"], rtol=1e-5, atol=1e-6)
    assert_close(losses["dice"], data["loss.dice"], rtol=1e-5, atol=1e-6)
    assert_close(losses["type"], 0.5 * data["loss.type"], rtol=1e-5, atol=1e-6)
    torch.stack([*losses.values()]).sum().backward()
    assert {f"gradient.{theirs(name)}" for name in parameters} == {name for name in data if name.startswith("gradient")}
    for name, each in parameters.items():
        assert each.grad is not None
        assert_close(each.grad, data[f"gradient.{theirs(name)}"], rtol=1e-4, atol=1e-6)


def test_the_rate_falls_after_every_epoch_as_theirs(detector: UniADC) -> None:
    for step in (0, 4, 5, 124, 249):
        expected = 1e-3 * (1 - (step // 5) / 50) ** 0.9
        assert rate(step, detector.schedule) == pytest.approx(expected, rel=1e-6)
