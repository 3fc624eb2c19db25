"""PromptAD on the small CLIP in `methods/prompt_ad.safetensors`, against what the authors' modules made with it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.parity.test_methods import assert_near, published, stored
from tests.support.learning import learn

from blemish.detectors.prompt_ad import PromptAD
from blemish.types import Batch

KINDS = {"image": "cls", "patch": "seg"}


@pytest.fixture
def detector(tmp_path: Path) -> PromptAD:
    text = {"context_length": 77, "vocab_size": 514, "width": 24, "heads": 3, "layers": 2}
    image = {"image_size": 64, "layers": 12, "width": 32, "head_width": 8, "patch_size": 8}
    encoder = published("prompt_ad", tmp_path, image=image, text=text, quick_gelu=False, resize="bicubic")
    made = PromptAD(encoder, product="cap", defects=("scratch", "hole"))
    for prompts, task in zip(made.sets, KINDS.values(), strict=True):
        prompts.load_state_dict({name: stored("prompt_ad")[f"{task}.{name}"] for name in ("normal", "anomalous")})
    made.updates.add()
    return made.eval()


def test_the_sentences_say_the_same(detector: PromptAD) -> None:
    assert detector.taps == (3, 8)
    for texts, task in zip(detector.texts, KINDS.values(), strict=True):
        assert_near(texts, stored("prompt_ad")[f"{task}.texts"], atol=1e-5)


def test_it_scores_and_maps_alike(detector: PromptAD) -> None:
    images = stored("prompt_ad")["images"] / 255
    learn(detector, images[:3].split(2))
    found = detector(images[3:])
    assert_near(found.image_score, stored("prompt_ad")["image_score"], rtol=1e-4, atol=1e-5)
    assert_near(found.anomaly_map, stored("prompt_ad")["anomaly_map"], rtol=1e-4, atol=1e-5)


def test_a_training_step_has_the_same_losses_and_gradients(detector: PromptAD) -> None:
    detector.sets.requires_grad_(True)
    losses = detector.loss(Batch(stored("prompt_ad")["images"][:3] / 255))
    for prompts, (name, task) in zip(detector.sets, KINDS.items(), strict=True):
        for term in ("choice", "margin", "align"):
            assert_near(losses[f"{name}_{term}"], stored("prompt_ad")[f"{task}.loss.{term}"], rtol=1e-4, atol=1e-6)
        total = torch.stack([losses[f"{name}_{term}"] for term in ("choice", "margin", "align")]).sum()
        found = torch.autograd.grad(total, list(prompts.parameters()))
        for gradient, kind in zip(found, ("normal", "anomalous"), strict=True):
            assert_near(gradient, stored("prompt_ad")[f"{task}.gradient.{kind}"], rtol=1e-3, atol=1e-4)
            norm = stored("prompt_ad")[f"{task}.gradient.{kind}"].norm()
            assert_near(gradient.norm(), norm, rtol=1e-4, atol=1e-6)
