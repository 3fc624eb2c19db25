"""SCF-AD on the small CLIP in `methods/scf_ad.safetensors`, against what the authors' modules made with it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.parity.test_methods import assert_near, published, stored
from tests.support.learning import learn
from torch import Tensor

from blemish.blocks.adapters import ScaledAdapter
from blemish.detectors.scf_ad import SCFAD

NAMES = {"scale": "scale", "adapter.0": "narrow", "adapter.2": "widen", "residual": "residual"}


@pytest.fixture
def detector(tmp_path: Path) -> SCFAD:
    text = {"context_length": 77, "vocab_size": 514, "width": 24, "heads": 3, "layers": 2}
    image = {"image_size": 64, "layers": 8, "width": 32, "head_width": 8, "patch_size": 8}
    encoder = published("scf_ad", tmp_path, image=image, text=text, quick_gelu=False, resize="bicubic")
    made = SCFAD(encoder, product="cap", defects=("hole",), layers=(3, 5, 7, 8), tokens=4, compete=True)
    for prompts, kind in zip(made.prompts, ("normal", "abnormal"), strict=True):
        prompts.load_state_dict({"context": stored("scf_ad")[f"ctx.{kind}_end"].float()}, strict=False)
    for adapters, name in ((made.toward_words, "adapter"), (made.toward_parts, "adapter_diff")):
        for number, adapter in enumerate(adapters):
            assert isinstance(adapter, ScaledAdapter)
            adapter.load_state_dict(of_adapter(f"{name}.{number}_adapter."))
    # Theirs gives two logits, of two probabilities that sum up to 1 and of four distances: ours is what counts of it.
    weight, bias = (stored("scf_ad")[f"classifier.{name}"] for name in ("weight", "bias"))
    toward = weight[1] - weight[0]
    made.weights.data = torch.cat([toward[1:2] - toward[:1], toward[2:]])
    made.bias.data = bias[1] - bias[0] + toward[0]
    made.updates.add()
    return made.eval()


def of_adapter(before: str) -> dict[str, Tensor]:
    found = {name[len(before) :]: t.float() for name, t in stored("scf_ad").items() if name.startswith(before)}
    return {
        name.replace(theirs, ours): t for name, t in found.items() for theirs, ours in NAMES.items() if theirs in name
    }


def test_the_sentences_say_the_same(detector: SCFAD) -> None:
    assert_near(detector.texts, stored("scf_ad")["texts"], atol=1e-5)


def test_it_scores_and_maps_alike(detector: SCFAD) -> None:
    images = stored("scf_ad")["images"] / 255
    learn(detector, [images[1:2]])
    found = detector(images[2:])
    assert_near(found.anomaly_map, stored("scf_ad")["anomaly_map"], rtol=1e-4, atol=1e-5)
    assert_near(found.image_score, stored("scf_ad")["anomaly_map"].flatten(1).amax(1), rtol=1e-4, atol=1e-5)
