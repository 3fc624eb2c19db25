"""CLIP-ADA has no public code: its map against the equations of its docstring, written out for every place."""

from __future__ import annotations

import math
from pathlib import Path
from typing import cast

import pytest
import torch
from tests.support.training import batch, begun, trained
from torch import nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.maps import smooth, top_mean
from blemish.detectors.clip_ada import CLIPADA
from blemish.recipes.fit import TrainedDetector
from blemish.types import PromptEncoder


@pytest.mark.parametrize("heads", ["linear", "none"])
def test_the_map_is_the_sigmoid_of_the_mean_over_layers(heads: str, tmp_path: Path) -> None:
    encoder = cast(PromptEncoder, encoders.load("test-tiny"))
    detector = CLIPADA(encoder, image_size=64, tokens=3, heads=heads, refine="none", sigma=0)  # type: ignore[arg-type]
    trained(cast(TrainedDetector, detector), tmp_path, steps=3)
    images = batch(5).images
    sentence = F.normalize(encoder.encode_prompts([(detector.prompt.context[0], "defect")]), dim=-1)[0]
    layers = encoder(images, layers=detector.taps).patches
    logits = torch.zeros(layers[0].shape[:3])
    for at, layer in enumerate(layers):
        projected = encoder.project(layer)
        if heads == "linear":
            projected = projected + layer @ cast(nn.Linear, detector.projections.heads[at]).weight.T
        cosines = torch.einsum("nhwd,d->nhw", F.normalize(projected, dim=-1), sentence)
        unit = math.exp(float(detector.temperature[at]))
        logits += (cosines - detector.offset[at] - detector.bias[at]) / unit / len(layers)
    expected = F.interpolate(logits[:, None], (64, 64), mode="bilinear", align_corners=False)[:, 0].sigmoid()
    found = detector(images)
    torch.testing.assert_close(found.anomaly_map, expected, rtol=1e-4, atol=1e-6)
    score = expected.flatten(1).topk(40, dim=1).values.mean(1)
    torch.testing.assert_close(found.image_score, score, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("refine", ["crops", "decoder", "none"])
def test_every_refinement_trains_and_finds_what_is_planted(refine: str, tmp_path: Path) -> None:
    detector = CLIPADA(encoders.load("test-tiny"), image_size=64, tokens=3, refine=refine)  # type: ignore[arg-type]
    trained(cast(TrainedDetector, detector), tmp_path, steps=40)
    seen = batch(77, 8)
    found = detector(seen.images)
    assert seen.masks is not None
    assert found.image_score[1::2].min() > found.image_score[0::2].max()
    assert found.anomaly_map[seen.masks].mean() > 2 * found.anomaly_map[~seen.masks].mean()


def test_crops_change_the_map_only_where_it_passes_what_good_parts_reach() -> None:
    detector = begun("clip-ada")
    detector.updates.add()  # type: ignore[attr-defined]
    images = batch(1).images
    detector.level.fill_(1.1)  # type: ignore[attr-defined]
    plain = detector._map(images)  # type: ignore[attr-defined]
    found = detector(images)
    torch.testing.assert_close(found.anomaly_map, smooth(plain, 2.0))
    torch.testing.assert_close(found.image_score, top_mean(plain, 0.01))
    detector.level.fill_(float(plain.max()) - 0.01)  # type: ignore[attr-defined]
    assert not torch.equal(detector(images).anomaly_map, found.anomaly_map)
