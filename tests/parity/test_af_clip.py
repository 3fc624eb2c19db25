"""AF-CLIP on the arrays that the authors' code made, see methods/PROVENANCE.md."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.parity.test_methods import assert_near, gradients, published, stored, training_batch
from tests.support.learning import learn
from torch import Tensor

from blemish.detectors.af_clip import AFCLIP


@pytest.fixture
def data() -> dict[str, Tensor]:
    return stored("af_clip")


def adapter(data: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The authors' adapter under our names."""
    theirs = {name.removeprefix(prefix): t.float() for name, t in data.items() if name.startswith(prefix)}
    return {
        "norm.weight": theirs["norm.weight"],
        "norm.bias": theirs["norm.bias"],
        "roles.weight": torch.cat([theirs[f"attn.to_{role}.weight"] for role in "qkv"]),
        "out.weight": theirs["attn.to_out.0.weight"],
        "out.bias": theirs["attn.to_out.0.bias"],
    }


@pytest.fixture
def detector(data: dict[str, Tensor], tmp_path: Path) -> AFCLIP:
    text = {"context_length": 77, "vocab_size": 514, "width": 24, "heads": 3, "layers": 3}
    image = {"image_size": 32, "layers": 8, "width": 32, "head_width": 8, "patch_size": 8}
    encoder = published("af_clip", tmp_path, image=image, text=text, quick_gelu=True, resize="bilinear")
    found = AFCLIP(encoder, image_size=64)
    found.adapter.load_state_dict(adapter(data, "adaptor.attention."))
    found.prompt.context.data = data["prompt"][0].float()
    found.updates.add()
    return found.eval()


def test_it_makes_the_same_sentences_maps_and_scores(detector: AFCLIP, data: dict[str, Tensor]) -> None:
    assert detector.taps == (2, 4, 6, 8)
    assert_near(detector.texts, data["texts"], rtol=1e-4, atol=1e-5)
    found = detector(data["images"] / 255)
    assert_near(found.image_score, data["image_score"], rtol=1e-4, atol=1e-4)
    assert_near(found.anomaly_map, data["anomaly_map"], rtol=1e-4, atol=1e-4)


def test_good_parts_make_the_same_maps_and_scores(detector: AFCLIP, data: dict[str, Tensor]) -> None:
    found = learn(detector, (data["good"] / 255).split(1))(data["images"] / 255)
    assert_near(found.image_score, data["few_shot.image_score"], rtol=1e-4, atol=1e-4)
    assert_near(found.anomaly_map, data["few_shot.anomaly_map"], rtol=1e-4, atol=1e-4)


def test_a_training_step_has_the_same_losses_and_gradients(detector: AFCLIP, data: dict[str, Tensor]) -> None:
    (group,) = detector.trained_parameters()
    for each in group.parameters:
        each.requires_grad_(True)
    losses = detector.loss(training_batch(data))
    assert data["loss.alignment"] > 1e-3
    for name, loss in losses.items():
        assert_near(loss, data[f"loss.{name}"], rtol=1e-4, atol=1e-6)
    found = gradients(detector, losses, group.parameters)
    assert_near(torch.stack([each.norm() for each in found]).norm(), data["gradient_norm"], rtol=1e-4, atol=1e-4)
    by_name = dict(zip(["prompt", *dict(detector.adapter.named_parameters())], found, strict=True))
    for ours, theirs in (("norm.weight", "norm.weight"), ("out.bias", "attn.to_out.0.bias")):
        assert_near(by_name[ours], data[f"gradient.attention.{theirs}"], rtol=1e-3, atol=1e-4)
    assert_near(by_name["prompt"], data["gradient.prompt"][0], rtol=1e-3, atol=1e-4)


def test_cached_features_give_the_same_loss(detector: AFCLIP, data: dict[str, Tensor]) -> None:
    batch = training_batch(data)
    plain = detector.loss(batch)
    cached = detector.loss(replace(batch, images=batch.images * 0, features=detector.frozen(batch.images)))
    assert {name: float(loss) for name, loss in plain.items()} == {name: float(loss) for name, loss in cached.items()}
