"""AdaptCLIP on the arrays that the authors' code made, see methods/PROVENANCE.md."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.parity.test_methods import assert_near, gradients, published, stored, training_batch
from tests.support.learning import learn
from torch import Tensor, nn

from blemish.blocks.comparison import ComparisonHead, gather_adapters
from blemish.detectors.adapt_clip import AdaptCLIP
from blemish.recipes.published import load_weights


def theirs(data: dict[str, Tensor], before: str = "") -> dict[str, Tensor]:
    """As the authors' file names what begins so."""
    learners = {f"{before}visual.": "visual_learner.", f"{before}comparison.": "pq_learner."}
    chosen = ((old, new, name) for old, new in learners.items() for name in data if name.startswith(old))
    return {new + name.removeprefix(old): data[name].float() for old, new, name in chosen}


@pytest.fixture
def seen() -> dict[str, Tensor]:
    """The tower and the pictures."""
    return stored("anomaly_clip")


@pytest.fixture
def data() -> dict[str, Tensor]:
    return stored("adapt_clip")


@pytest.fixture
def detector(data: dict[str, Tensor], tmp_path: Path) -> AdaptCLIP:
    text = {"context_length": 77, "vocab_size": 514, "width": 24, "heads": 3, "layers": 5}
    image = {"image_size": 32, "layers": 6, "width": 32, "head_width": 8, "patch_size": 8}
    encoder = published("anomaly_clip", tmp_path, image=image, text=text, quick_gelu=True, resize="bilinear")
    found = AdaptCLIP(encoder, last=4, image_size=64)
    found.comparison = ComparisonHead(16, 4, hidden=32)
    sides = zip(("pos", "neg"), data["context"].float(), strict=True)
    context = {f"textual_learner.ctx_{side}": words[None, None] for side, words in sides}
    torch.save(theirs(data) | context, tmp_path / "theirs.pth")
    load_weights(found, "adapt-clip", tmp_path / "theirs.pth")
    found.texts = data["texts"]  # of 21 templates
    return found.requires_grad_(False)


def statistics(data: dict[str, Tensor]) -> dict[str, Tensor]:
    """Of the batch norms after one step."""
    return gather_adapters(theirs(data, "buffer."))


def test_it_makes_the_same_sentences_maps_and_scores(
    detector: AdaptCLIP, seen: dict[str, Tensor], data: dict[str, Tensor]
) -> None:
    assert detector.taps == (1, 3, 4, 6)
    assert_near(detector.sentences, data["sentences"], rtol=1e-4, atol=1e-5)
    detector.load_state_dict(statistics(data), strict=False)
    found = detector(seen["images"] / 255)
    assert_near(found.image_score, data["image_score"], rtol=1e-4, atol=1e-5)
    assert_near(found.anomaly_map, data["anomaly_map"], rtol=1e-4, atol=1e-5)


def test_good_parts_make_the_same_maps_and_scores(
    detector: AdaptCLIP, seen: dict[str, Tensor], data: dict[str, Tensor]
) -> None:
    detector.load_state_dict(statistics(data), strict=False)
    learn(detector, (data["good"] / 255).split(1))
    found = detector(seen["images"] / 255)
    assert_near(found.anomaly_map, data["few_shot.anomaly_map"], rtol=1e-4, atol=1e-4)
    assert_near(found.image_score, data["few_shot.image_score"], rtol=1e-4, atol=1e-4)


def test_a_training_step_has_the_same_losses_gradients_and_statistics(
    detector: AdaptCLIP, seen: dict[str, Tensor], data: dict[str, Tensor]
) -> None:
    (group,) = detector.trained_parameters()
    for each in group.parameters:
        each.requires_grad_(True)
    for module in (detector.whole, detector.places, detector.comparison):
        module.train()
    losses = detector.loss(training_batch(seen))
    for name, loss in losses.items():
        assert_near(loss, data[f"loss.{name}"], rtol=1e-4, atol=1e-5)
    found = gradients(detector, losses, group.parameters)
    assert_near(torch.stack([each.norm() for each in found]).norm(), data["gradient_norm"], rtol=1e-4, atol=1e-4)
    by_id = {id(each): gradient.norm() for each, gradient in zip(group.parameters, found, strict=True)}
    mine = dict(detector.named_parameters())
    for name, expected in gather_adapters(theirs(data, "gradient.")).items():
        assert_near(by_id[id(mine[name])], expected, rtol=1e-3, atol=2e-3)
    after = dict(nn.Module.named_buffers(detector))
    for name, expected in statistics(data).items():
        assert_near(after[name], expected, rtol=1e-4, atol=1e-5)


def test_cached_features_give_the_same_loss(detector: AdaptCLIP, seen: dict[str, Tensor]) -> None:
    batch = training_batch(seen)
    cached = detector.loss(replace(batch, images=batch.images * 0, features=detector.frozen(batch.images)))
    assert {name: float(loss) for name, loss in detector.loss(batch).items()} == {
        n: float(x) for n, x in cached.items()
    }
