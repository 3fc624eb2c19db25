"""UniADet's code is not public: its map and score against the equations of its docstring, written out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
import torch
from tests.support.training import batch, trained
from torch import Tensor
from torch.nn import functional as F

from blemish import encoders
from blemish.detectors.uniadet import UniADet
from blemish.recipes.fit import TrainedDetector

CLASSES = ["test-tiny", "embedded"]


def class_tokens(encoder: Any, images: Tensor, taps: tuple[int, ...]) -> dict[int, Tensor]:
    """The first token leaving each block, by running the blocks one by one."""
    tokens, found = encoder.visual.embed(images), {}
    for number, block in enumerate(encoder.visual.blocks, start=1):
        tokens = block(tokens)
        found[number] = tokens[:, 0].float()
    return {tap: found[tap] for tap in taps}


@pytest.mark.parametrize("name", CLASSES)
def test_score_and_map_are_means_over_layers(name: str, tmp_path: Path) -> None:
    encoder = encoders.load(name)
    detector = UniADet(encoder, image_size=64, sigma=0)
    trained(cast(TrainedDetector, detector), tmp_path, steps=2)
    images = batch(5).images
    layers = encoder(images, layers=detector.taps).patches
    if name == "test-tiny":
        wholes = class_tokens(encoder, images, detector.taps)
    else:
        wholes = {tap: each.mean((1, 2)) for tap, each in zip(detector.taps, layers, strict=True)}
    maps, scores = [], []
    for at, (tap, layer) in enumerate(zip(detector.taps, layers, strict=True)):
        logits = F.cosine_similarity(layer[..., None, :], detector.places.rows[at], dim=-1) / 0.07  # (N, h, w, 2)
        large = F.interpolate(logits.permute(0, 3, 1, 2), (64, 64), mode="bilinear", align_corners=False)
        maps.append(large.softmax(1)[:, 1])
        whole = F.cosine_similarity(wholes[tap][:, None], detector.whole.rows[at][None], dim=-1) / 0.07
        scores.append(0.5 * whole.softmax(-1)[:, 1] + 0.5 * maps[-1].amax((1, 2)))
    found = detector(images)
    torch.testing.assert_close(found.anomaly_map, torch.stack(maps).mean(0), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.image_score, torch.stack(scores).mean(0), rtol=1e-4, atol=1e-6)
