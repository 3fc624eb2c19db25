"""AdaCLIP on the arrays that the authors' code made, see methods/PROVENANCE.md."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.parity.test_methods import assert_near, gradients, published, stored, training_batch
from torch import Tensor

from blemish.blocks import clusters
from blemish.detectors.ada_clip import AdaCLIP
from blemish.recipes.published import load_weights
from blemish.types import Batch


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """With the groups that the authors' k-means found, whose beginning is random."""
    found = stored("ada_clip")
    groups: Iterator[Tensor] = iter([*found["clusters"], *found["clusters"]])
    monkeypatch.setattr(clusters, "kmeans", lambda rows, count: next(groups).long())
    return found


@pytest.fixture
def detector(data: dict[str, Tensor], tmp_path: Path) -> AdaCLIP:
    text = {"context_length": 77, "vocab_size": 514, "width": 16, "heads": 2, "layers": 5}
    image = {"image_size": 64, "layers": 8, "width": 32, "head_width": 8, "patch_size": 8}
    encoder = published("ada_clip", tmp_path, image=image, text=text, quick_gelu=False, resize="bicubic")
    found = AdaCLIP(encoder, product="bottle", clusters=5)
    theirs = {name.removeprefix("own."): t.float() for name, t in data.items() if name.startswith("own.")}
    torch.save({f"clip_model.{name}": tensor for name, tensor in theirs.items()}, tmp_path / "theirs.pth")
    load_weights(found, "ada-clip", tmp_path / "theirs.pth")
    return found


def test_each_picture_has_its_own_texts_and_is_seen_the_same(detector: AdaCLIP, data: dict[str, Tensor]) -> None:
    seen = detector._look(data["images"] / 255, ["bottle"] * 3)
    assert_near(seen.texts, data["texts"], rtol=1e-4, atol=1e-5)
    assert_near(seen.whole, data["image_embedding"], rtol=1e-4, atol=1e-5)


def test_it_makes_the_same_maps_and_scores(detector: AdaCLIP, data: dict[str, Tensor]) -> None:
    found = detector(data["images"] / 255)
    assert_near(found.image_score, data["image_score"], rtol=1e-4, atol=1e-4)
    assert_near(found.anomaly_map, data["anomaly_map"], rtol=1e-4, atol=1e-4)


def first_two(data: dict[str, Tensor]) -> Batch:
    batch = training_batch(data)
    assert batch.masks is not None
    return replace(batch, images=batch.images[:2], masks=batch.masks[:2])


def test_a_training_step_has_the_same_losses_and_gradients(detector: AdaCLIP, data: dict[str, Tensor]) -> None:
    (group,) = detector.trained_parameters()
    for each in group.parameters:
        each.requires_grad_(True)
    losses = detector.loss(first_two(data))
    for name, loss in losses.items():
        assert_near(loss, data[f"loss.{name}"], rtol=1e-4, atol=1e-6)
    found = gradients(detector, losses, group.parameters)
    assert_near(torch.stack([each.norm() for each in found]).norm(), data["gradient_norm"], rtol=1e-4, atol=1e-4)
    names = {id(each): name for name, each in detector.named_parameters()}
    by_name = {names[id(each)]: gradient for each, gradient in zip(group.parameters, found, strict=True)}
    prefix = "gradient."
    theirs = {name.removeprefix(prefix): tensor for name, tensor in data.items() if name.startswith(prefix)}
    expected = detector.published(theirs)
    assert set(expected) == {"looking.static", "reading.static", "heads.heads.4.weight", "heads.heads.4.bias"}
    for name, gradient in expected.items():
        assert_near(by_name[name], gradient, rtol=1e-3, atol=1e-4)


def test_dice_of_whole_maps_is_the_papers(detector: AdaCLIP, data: dict[str, Tensor]) -> None:
    detector.overlap = "maps"
    assert_near(detector.loss(first_two(data))["dice"], data["loss.whole_dice"], rtol=1e-4)
