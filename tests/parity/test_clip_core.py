"""CLIP-Core without its layer and its words, against MH-PatchCore's scores, see methods/PROVENANCE.md."""

from __future__ import annotations

import pytest
import torch
from tests.parity.test_methods import assert_near, stored
from torch import Tensor

from blemish.blocks.whitening import WhitenedBank
from blemish.detectors.clip_core import CLIPCore
from blemish.types import Batch, Features


def test_as_many_axes_are_kept_and_the_same_places_found() -> None:
    data = stored("clip_core")
    bank = WhitenedBank()
    bank.hold(data["good"].flatten(0, 2))
    assert bank.axes.shape[1] == data["kept"] < data["good"].shape[-1]
    distances, numbers = bank.nearest(data["images"])
    assert torch.equal(numbers.squeeze(-1), data["nearest"])
    assert_near(distances.squeeze(-1).square(), data["patch_scores"], rtol=1e-4, atol=0)


def test_the_detector_scores_and_maps_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    data = stored("clip_core")
    detector = CLIPCore("test-tiny", plus=False)
    detector.linear.weight.data = torch.eye(detector.encoder.width)
    detector.updates.add()

    def look(images: Tensor) -> Features:
        return Features(torch.zeros(len(images), detector.encoder.width), (images,))

    monkeypatch.setattr(detector, "frozen", look)
    (rows,) = detector.extract(Batch(data["good"]))[0]
    detector.bank.hold(rows)
    monkeypatch.setattr("blemish.detectors.clip_core.smooth", lambda maps, sigma: maps)
    monkeypatch.setattr("blemish.detectors.clip_core.upsample", lambda maps, size: maps)
    found = detector(data["images"])
    assert_near(found.image_score.square(), data["image_score"], rtol=1e-4, atol=0)
    assert_near(found.anomaly_map.square(), data["patch_scores"], rtol=1e-4, atol=0)
