"""LECLIP on the arrays that the authors' code made, see methods/PROVENANCE.md."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.parity.test_methods import assert_near, gradients, published, stored, training_batch
from torch import Tensor

from blemish.detectors.leclip import LECLIP
from blemish.recipes.published import load_weights


@pytest.fixture
def seen() -> dict[str, Tensor]:
    """The tower, the prompts and the pictures."""
    return stored("anomaly_clip")


@pytest.fixture
def data() -> dict[str, Tensor]:
    return stored("leclip")


@pytest.fixture
def detector(seen: dict[str, Tensor], tmp_path: Path) -> LECLIP:
    text = {"context_length": 77, "vocab_size": 514, "width": 24, "heads": 3, "layers": 5}
    image = {"image_size": 32, "layers": 6, "width": 32, "head_width": 8, "patch_size": 8}
    encoder = published("anomaly_clip", tmp_path, image=image, text=text, quick_gelu=True, resize="bilinear")
    found = LECLIP(encoder, deep_depth=4, last=4)
    words = zip(("pos", "neg"), seen["prompts.context"].float(), strict=True)
    theirs = {f"ctx_{side}": each[None, None] for side, each in words}
    theirs |= {f"compound_prompts_text.{number}": each.float() for number, each in enumerate(seen["prompts.deep"])}
    torch.save({"prompt_learner": theirs}, tmp_path / "theirs.pth")
    load_weights(found, "leclip", tmp_path / "theirs.pth")
    return found


def test_it_reads_and_sees_the_same(detector: LECLIP, seen: dict[str, Tensor], data: dict[str, Tensor]) -> None:
    assert_near(detector.texts, data["texts"], atol=1e-5)
    embedding, (patches,) = detector.frozen(seen["images"] / 255)
    assert_near(embedding, data["image_embedding"], rtol=1e-4, atol=1e-5)
    assert_near(patches, data["patches"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("before", "window", "stride"), [("", 27 / 37, 10 / 37), ("three.", 1 / 2, 1 / 4)])
def test_windows_make_the_same_scores_and_maps(
    detector: LECLIP, seen: dict[str, Tensor], data: dict[str, Tensor], before: str, window: float, stride: float
) -> None:
    detector.window, detector.stride = window, stride
    found = detector(seen["images"] / 255)
    assert_near(found.image_score, data[f"{before}image_score"], rtol=1e-4, atol=0)
    assert_near(found.anomaly_map, data[f"{before}anomaly_map"], rtol=1e-4, atol=0)


def test_the_picture_alone_makes_the_same_scores_and_maps(
    detector: LECLIP, seen: dict[str, Tensor], data: dict[str, Tensor]
) -> None:
    detector.window = None
    found = detector(seen["images"] / 255)
    assert_near(found.image_score, data["alone.image_score"], rtol=1e-4, atol=0)
    assert_near(found.anomaly_map, data["alone.anomaly_map"], rtol=1e-4, atol=0)


def test_a_training_step_has_the_same_losses_and_gradients(
    detector: LECLIP, seen: dict[str, Tensor], data: dict[str, Tensor]
) -> None:
    (group,) = detector.trained_parameters()
    detector.prompts.requires_grad_(True)
    batch = training_batch(seen)
    losses = detector.loss(batch)
    for name, loss in losses.items():
        assert_near(loss, data[f"loss.{name}"], rtol=1e-4, atol=0)
    assert_near(torch.stack(list(losses.values())).sum(), data["loss"], rtol=1e-4, atol=0)
    found = gradients(detector, losses, group.parameters)
    assert_near(torch.stack([each.norm() for each in found]).norm(), data["gradient_norm"], rtol=1e-4, atol=0)
    for gradient, name in zip(found, ("context", "deep"), strict=True):
        assert_near(gradient, data[f"gradient.{name}"], rtol=1e-3, atol=1e-4)
    cached = detector.loss(replace(batch, images=batch.images * 0, features=detector.frozen(batch.images)))
    assert all(torch.equal(loss, losses[name]) for name, loss in cached.items())
