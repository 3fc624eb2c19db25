"""MuSc on the layers of `methods/musc.safetensors`, against what the authors' modules made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest
import torch
from tests.parity.test_methods import Playback, assert_near, numbered, stored
from tests.support.learning import learn

from blemish.blocks.mutual import digest
from blemish.detectors.musc import MuSc
from blemish.types import Encoder, Features

COUNT, SIDE = 8, 48


class Player(Playback):
    """Stored layers and image embeddings."""

    def __call__(self, images: torch.Tensor, *, layers: Sequence[int] = ()) -> Features:
        seen = super().__call__(images * COUNT, layers=layers)
        return seen._replace(image=stored("musc")["embedding"][(images[:, 0, 0, 0] * COUNT).round().long()])


def compared(neighbours: tuple[int, ...]) -> MuSc:
    """With the eight pictures as its set; picture n is filled with n / 8."""
    layers = {number: stored("musc")[f"layer{number}"] for number in (1, 2, 3)}
    detector = MuSc(cast(Encoder, Player(layers, patch_size=8)), layers=(1, 2, 3), neighbours=neighbours)
    found: MuSc = learn(detector, (numbered(0, COUNT, SIDE, SIDE) / COUNT).split(3))
    return found


@pytest.mark.parametrize(("neighbours", "name"), [((1,), "plain"), ((1, 2, 3), "123"), ((1, 7, 8), "178")])
def test_pictures_score_each_other_alike(neighbours: tuple[int, ...], name: str) -> None:
    found = compared(neighbours)(numbered(0, COUNT, SIDE, SIDE) / COUNT)
    assert_near(found.anomaly_map, stored("musc")["anomaly_map"], rtol=1e-4)
    plain = stored("musc")["image_score.plain"]
    low, high = (plain.min(), plain.max()) if name != "plain" else (torch.tensor(0.0), torch.tensor(1.0))
    # The authors rescale scores to the range of the set before they are shared.
    assert_near((found.image_score - low) / (high - low), stored("musc")[f"image_score.{name}"], rtol=1e-4, atol=1e-5)


def test_pictures_of_the_set_are_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    detector, images = compared((1, 2, 3)), numbered(0, COUNT, SIDE, SIDE) / COUNT
    first = detector(images)
    fresh = detector._scores(detector._look(images).patches, detector.bank.same(digest(images)))
    assert_near(detector._scores_of_set(), fresh)
    monkeypatch.setattr(detector, "_scores", None)
    assert torch.equal(detector(images).anomaly_map, first.anomaly_map)
