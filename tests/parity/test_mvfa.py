"""MVFA on the arrays that the authors' code made, see methods/PROVENANCE.md."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.parity.test_methods import assert_near, gradients, published, stored, training_batch
from tests.support.learning import learn
from torch import Tensor

from blemish.blocks.maps import maximum
from blemish.detectors.mvfa import MVFA
from blemish.recipes.published import load_weights


@pytest.fixture
def data() -> dict[str, Tensor]:
    return stored("mvfa")


@pytest.fixture
def detector(data: dict[str, Tensor], tmp_path: Path) -> MVFA:
    text = {"context_length": 77, "vocab_size": 514, "width": 24, "heads": 3, "layers": 2}
    image = {"image_size": 64, "layers": 8, "width": 32, "head_width": 8, "patch_size": 8}
    encoder = published("mvfa", tmp_path, image=image, text=text, quick_gelu=False, resize="bicubic-antialias")
    found = MVFA(encoder, product="bottle")
    sides = ("seg_adapters", "det_adapters")
    theirs = {
        side: {name.removeprefix(f"{side}."): t.float() for name, t in data.items() if name.startswith(side)}
        for side in sides
    }
    torch.save(theirs, tmp_path / "theirs.pth")
    load_weights(found, "mvfa", tmp_path / "theirs.pth")
    return found


def test_it_makes_the_same_texts_scores_and_maps(detector: MVFA, data: dict[str, Tensor]) -> None:
    assert detector.taps == (2, 4, 6, 8)
    assert_near(detector.texts, data["texts"], rtol=1e-4, atol=1e-5)
    found = detector(data["images"] / 255)
    assert_near(found.image_score, data["image_score"], rtol=1e-4, atol=1e-4)
    assert_near(found.anomaly_map, data["anomaly_map"], rtol=1e-4, atol=1e-4)


def test_good_parts_add_the_same_map(detector: MVFA, data: dict[str, Tensor]) -> None:
    found = learn(detector, (data["good"] / 255).split(1))(data["images"] / 255)
    # The authors rescale both over a test set before they add them.
    assert_near(2 * found.anomaly_map - data["anomaly_map"], data["few_shot.reference_map"], rtol=1e-4, atol=2e-4)
    assert_near(found.image_score, maximum(found.anomaly_map))


def test_a_training_step_has_the_same_losses_and_gradients(detector: MVFA, data: dict[str, Tensor]) -> None:
    (group,) = detector.trained_parameters()
    detector.implants.requires_grad_(True)
    batch = training_batch(data)
    assert batch.masks is not None
    losses = detector.loss(replace(batch, images=batch.images[:2], masks=batch.masks[:2]))
    for name, loss in losses.items():
        assert_near(loss, data[f"loss.{name}"], rtol=1e-4, atol=1e-6)
    found = gradients(detector, losses, group.parameters)
    assert_near(torch.stack([each.norm() for each in found]).norm(), data["gradient_norm"], rtol=1e-4, atol=1e-4)
    by_name = dict(zip(dict(detector.implants.named_parameters(prefix="implants")), found, strict=True))
    prefix = "gradient."
    theirs = {name.removeprefix(prefix): tensor for name, tensor in data.items() if name.startswith(prefix)}
    expected = detector.published(theirs)
    assert set(expected) == set(by_name)
    for name, gradient in expected.items():
        assert_near(by_name[name], gradient, rtol=1e-3, atol=1e-4)
