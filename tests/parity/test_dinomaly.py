"""Dinomaly on the layers of `methods/dinomaly.safetensors`, against what anomalib made of them."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
import torch
from safetensors.torch import load_file
from tests.parity.test_methods import Playback, numbered
from torch import Tensor
from torch.testing import assert_close

from blemish.detectors import dinomaly
from blemish.types import Batch, Encoder

STORED: dict[str, Tensor] = load_file(Path(__file__).parent / "methods" / "dinomaly.safetensors")
SIZE = (40, 64)
LAYERS = (1, 2, 3, 4)


def detector(split: str, monkeypatch: pytest.MonkeyPatch) -> dinomaly.Dinomaly:
    monkeypatch.setattr(dinomaly, "HEAD", 16)
    player = Playback({n: STORED[f"{split}.layer{n}"] for n in LAYERS}, patch_size=8)
    made = dinomaly.Dinomaly(cast(Encoder, player), layers=LAYERS, blocks=len(LAYERS), dropout=0.0)
    made.decoder.load_state_dict({name: STORED[f"weights.{name}"] for name in made.decoder.state_dict()})
    return made


def test_it_scores_and_maps_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    made = detector("test", monkeypatch)
    made.updates.add()
    found = made(numbered(0, 2, *SIZE))
    assert_close(found.image_score, STORED["test.image_score"], rtol=1e-4, atol=1e-6)
    assert_close(found.anomaly_map, STORED["test.anomaly_map"], rtol=1e-4, atol=1e-6)


def test_step_500_has_the_same_loss_and_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    made = detector("train", monkeypatch).train().requires_grad_()
    made.updates.store({"count": torch.tensor([500])})
    loss = made.loss(Batch(numbered(0, 3, *SIZE)))["cosine"]
    loss.backward()
    assert_close(loss.detach(), STORED["train.loss"], rtol=1e-5, atol=1e-7)
    for name, parameter in made.decoder.named_parameters():
        assert parameter.grad is not None
        assert float(parameter.grad.norm()) == pytest.approx(float(STORED[f"gradient.{name}"]), rel=1e-4, abs=1e-8)
