"""AA-CLIP on the arrays that the authors' code made, see methods/PROVENANCE.md."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.parity.test_methods import assert_near, gradients, published, stored, training_batch
from torch import Tensor

from blemish.blocks.maps import maximum
from blemish.detectors import aa_clip
from blemish.detectors.aa_clip import AACLIP

PRODUCTS = ("bottle", "bottle", "metal nut", "metal nut")
NAMES = {"layer_adapters.": "adapters.", "seg_proj.": "heads.", "det_proj.": "whole."}


def ours(name: str) -> str:
    """The authors' name of a parameter as ours."""
    part, _, name = name.partition(".")
    if part == "text_adapter":
        return "reading.head.weight" if name.startswith("3.") else f"reading.adapters.{name[0]}.linear.weight"
    for theirs, own in NAMES.items():
        name = name.replace(theirs, own)
    return f"looking.{name}".replace("fc.0", "linear").replace(".fc", "")


@pytest.fixture
def data() -> dict[str, Tensor]:
    return stored("aa_clip")


@pytest.fixture
def detector(data: dict[str, Tensor], tmp_path: Path) -> AACLIP:
    text = {"context_length": 77, "vocab_size": 514, "width": 24, "heads": 3, "layers": 4}
    image = {"image_size": 64, "layers": 8, "width": 32, "head_width": 8, "patch_size": 8}
    encoder = published("aa_clip", tmp_path, image=image, text=text, quick_gelu=False, resize="bicubic-antialias")
    found = AACLIP(encoder, product="bottle")
    adapters = ("text_adapter.", "image_adapter.")
    state = {ours(name): tensor.float() for name, tensor in data.items() if name.startswith(adapters)}
    missing, unknown = found.load_state_dict(state, strict=False)
    assert not unknown
    assert all(name.startswith(("encoder.", "updates.")) for name in missing)
    found.updates.add()
    return found


def test_the_adapted_text_tower_makes_the_same_prototypes(detector: AACLIP, data: dict[str, Tensor]) -> None:
    assert_near(detector._texts(PRODUCTS), data["texts"], rtol=1e-4, atol=1e-5)
    assert_near(detector.texts, data["texts"][0], rtol=1e-4, atol=1e-5)


def test_it_makes_the_same_maps_and_scores(detector: AACLIP, data: dict[str, Tensor]) -> None:
    found = detector(data["images"] / 255)
    assert_near(found.anomaly_map, data["anomaly_map"], rtol=1e-4, atol=1e-4)
    # The authors rescale both parts of the score over a test set.
    expected = (maximum(data["anomaly_map"]) / 400 + data["det_score"]) / 2
    assert_near(found.image_score, expected, rtol=1e-4, atol=1e-5)


def test_the_blur_for_medical_images_is_the_same(detector: AACLIP, data: dict[str, Tensor]) -> None:
    detector.sigma = 1.5
    found = detector(data["images"][:1] / 255)
    assert_near(found.anomaly_map, data["medical.anomaly_map"], rtol=1e-4, atol=1e-4)


def test_a_step_of_the_first_stage_has_the_same_loss_and_gradient(
    detector: AACLIP, data: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Towards the authors' targets, which their slip makes others than ours."""
    monkeypatch.setattr(aa_clip, "text_targets", lambda *_: [data["targets"]])
    detector.reading.requires_grad_(True)
    losses = detector.loss(training_batch(data, PRODUCTS))
    assert_near(losses["focal"] + losses["dice"], data["text.focal_and_dice"], rtol=1e-4)
    assert_near(losses["disentangle"], data["text.disentangle"], rtol=1e-4)
    names, parameters = zip(*detector.reading.named_parameters(prefix="reading"), strict=True)
    found = gradients(detector, losses, parameters)
    assert_near(torch.stack([each.norm() for each in found]).norm(), data["text.gradient_norm"], rtol=1e-4)
    expected = by_our_names(data, "text")
    for name, gradient in zip(names, found, strict=True):
        assert_near(gradient, expected[name], rtol=1e-3, atol=1e-4)


def test_a_step_of_the_second_stage_has_the_same_loss_and_gradient(detector: AACLIP, data: dict[str, Tensor]) -> None:
    detector.begin(1)
    detector.looking.requires_grad_(True)
    losses = detector.loss(training_batch(data, PRODUCTS))
    assert_near(losses["focal"] + losses["dice"], data["image.focal_and_dice"], rtol=1e-4)
    assert_near(losses["image"], data["image.image"], rtol=1e-4)
    names, parameters = zip(*detector.looking.named_parameters(prefix="looking"), strict=True)
    found = gradients(detector, losses, parameters)
    assert_near(torch.stack([each.norm() for each in found]).norm(), data["image.gradient_norm"], rtol=1e-4)
    expected = by_our_names(data, "image")
    assert len(expected) == 3  # the heads of the layers are only in the norm
    for name, gradient in zip(names, found, strict=True):
        if name in expected:
            assert_near(gradient, expected[name], rtol=1e-3, atol=1e-4)


def by_our_names(data: dict[str, Tensor], tower: str) -> dict[str, Tensor]:
    prefix = f"{tower}.gradient."
    return {ours(f"{tower}_adapter." + n.removeprefix(prefix)): t for n, t in data.items() if n.startswith(prefix)}
