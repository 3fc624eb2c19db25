"""CoOp on the features of `methods/coop.safetensors` and a small text tower, against the authors' modules."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
import torch
from tests.parity.test_methods import published, stored
from torch.testing import assert_close

from blemish.classifiers.coop import WARM_UP, CoOp
from blemish.encoders.clip import CLIP
from blemish.types import TypedExamples

TYPES = ["hole", "dark_spot", "a"]
every = pytest.mark.parametrize(("kind", "place"), [(k, p) for k in ("shared", "own") for p in ("end", "middle")])


@pytest.fixture
def encoder(tmp_path: Path) -> CLIP:
    text = {"context_length": 77, "vocab_size": 514, "width": 24, "heads": 3, "layers": 2}
    image = {"image_size": 64, "layers": 12, "width": 32, "head_width": 8, "patch_size": 8}
    return published("prompt_ad", tmp_path, image=image, text=text, quick_gelu=True, resize="bicubic")


@every
def test_logits_loss_gradient_and_a_step_are_those_of_the_authors(
    encoder: CLIP, kind: str, place: Literal["end", "middle"]
) -> None:
    data, run = stored("coop"), f"{kind}.{place}"
    classifier = CoOp(encoder, types=TYPES, tokens=4, shared=kind == "shared", place=place)
    prompts = classifier.untrained()
    prompts.load_state_dict({"context": data[f"{kind}.context"].reshape(prompts.context.shape)}, strict=False)
    texts = prompts(encoder)
    found = classifier.scale * torch.nn.functional.normalize(data["seen"], dim=-1) @ texts.T
    assert_close(found, data[f"{run}.logits"], rtol=1e-5, atol=1e-4)
    loss = classifier.loss(prompts, data["seen"], data["types"])
    assert_close(loss, data[f"{run}.loss"], rtol=1e-5, atol=1e-5)
    loss.backward()
    gradient = prompts.context.grad
    assert gradient is not None
    assert_close(gradient.norm(), data[f"{run}.gradient"].norm(), rtol=1e-5, atol=0)
    assert_close(gradient, data[f"{run}.gradient"].reshape(gradient.shape), rtol=1e-3, atol=1e-3)
    torch.optim.SGD(prompts.parameters(), lr=WARM_UP, momentum=0.9, weight_decay=5e-4).step()
    assert_close(prompts.context.detach(), data[f"{run}.stepped"].reshape(gradient.shape), rtol=0, atol=1e-6)


@every
def test_learned_words_fit_their_examples_better_than_random_ones(
    encoder: CLIP, kind: str, place: Literal["end", "middle"]
) -> None:
    data = stored("coop")
    examples = TypedExamples(data["seen"][:, None], data["types"])
    begun, trained = (
        CoOp(encoder, types=TYPES, tokens=4, shared=kind == "shared", place=place, steps=steps).fit(examples)
        for steps in (0, 60)
    )
    wanted = data["types"].float()
    before, after = ((each(examples.seen).log_softmax(1) * wanted).sum() for each in (begun, trained))
    assert after > before + 1
