"""FoundAD on the tokens of `methods/found_ad.safetensors`, against what anomalib made of them."""

from __future__ import annotations

from typing import cast

import torch
from tests.parity.test_methods import Playback, assert_near, numbered, stored
from torch import Tensor

from blemish.blocks.projection import name_projector
from blemish.detectors.found_ad import FoundAD
from blemish.types import Batch, Capability, Encoder

SIZE = (40, 64)


class Normed(Playback):
    """One whose layers have passed the last norm already."""

    can = frozenset[Capability]({"seams"})

    def norm(self, patches: Tensor) -> Tensor:
        """As they are."""
        return patches


def detector(tokens: Tensor) -> FoundAD:
    player = cast(Encoder, Normed({1: tokens}, patch_size=8))
    made = FoundAD(player, width=16, depth=3, heads=4, dropout=0.0)
    weights = {f"predictor.{name}": stored("found_ad")[f"predictor.{name}"] for name in names()}
    made.projector.load_state_dict(name_projector(weights, ""))
    return made


def names() -> list[str]:
    """Of the projector's parameters, the authors'."""
    return [name.removeprefix("gradient.") for name in stored("found_ad") if name.startswith("gradient.")]


def test_it_scores_and_maps_alike() -> None:
    made = detector(stored("found_ad")["test.tokens"])
    made.updates.add()
    found = made(numbered(0, 2, *SIZE))
    assert_near(found.image_score, stored("found_ad")["test.image_score"])
    assert_near(found.anomaly_map, stored("found_ad")["test.anomaly_map"], rtol=1e-5, atol=1e-5)


def test_a_training_step_has_the_same_loss_and_gradients() -> None:
    data = stored("found_ad")
    made = detector(torch.cat([data["train.good"], data["train.flawed"]])).train().requires_grad_()
    labels, twins = torch.tensor([False] * 3 + [True] * 3), torch.tensor([0, 1, 2, 0, 1, 2])
    images = numbered(0, 6, *SIZE)
    for number, part in enumerate((slice(0, 3), slice(3, 6))):
        seen = made.frozen(images)
        moved = made.projector(seen.patches[0][part])
        assert_near((moved - seen.patches[0][:3]).square().mean(), data["train.loss"][number])
    loss = made.loss(Batch(images, labels=labels, twins=twins))["distance"]
    assert_near(loss, data["train.loss"].mean())
    loss.backward()
    own = {name: each.grad for name, each in made.projector.named_parameters()}
    for name in names():
        ours = next(iter(name_projector({f"predictor.{name}": torch.empty(0)}, "")))
        gradient = own[ours]
        assert gradient is not None
        assert_near(gradient.norm(), data[f"gradient.{name}"], rtol=1e-4, atol=1e-7)
