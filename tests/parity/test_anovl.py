"""IAD-CLIP against AnoVL's attention, states and adaptation, see methods/PROVENANCE.md."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.parity.test_methods import assert_near, published, stored
from torch import Tensor

from blemish.blocks.similarity import anomaly_probability
from blemish.blocks.test_time import adapt_places
from blemish.detectors import iad_clip


@pytest.fixture
def detector(tmp_path: Path) -> iad_clip.IADCLIP:
    text = {"context_length": 77, "vocab_size": 514, "width": 24, "heads": 3, "layers": 2}
    image = {"image_size": 64, "layers": 12, "width": 32, "head_width": 8, "patch_size": 8}
    encoder = published("april_gan", tmp_path, image=image, text=text, quick_gelu=False, resize="bicubic-antialias")
    return iad_clip.IADCLIP(encoder, product="bottle", temperature=1.0)


@pytest.fixture
def given_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    noises: Iterator[Tensor] = cycle(stored("anovl")["noise"])

    def next_noise(*shape: Any, generator: torch.Generator) -> Tensor:
        return next(noises)

    monkeypatch.setattr(torch, "randn", next_noise)


def test_states_say_the_same(detector: iad_clip.IADCLIP) -> None:
    assert_near(detector.texts, stored("anovl")["texts"], atol=1e-5)
    assert_near(detector.sentences, stored("anovl")["states"], atol=1e-5)


def test_values_attend_to_values_alike(detector: iad_clip.IADCLIP) -> None:
    seen = detector._look(stored("april_gan")["images"] / 255)
    assert_near(seen.image, stored("anovl")["image_embedding"], rtol=1e-4, atol=1e-5)
    assert_near(seen.patches[-1], stored("anovl")["patches"], rtol=1e-4, atol=1e-4)
    found = anomaly_probability(seen.image, detector.texts, 1.0)
    assert_near(found, stored("anovl")["probability"], rtol=1e-5)


@pytest.mark.usefixtures("given_noise")
@pytest.mark.parametrize(("steps", "run"), [(5, "adapted"), (40, "long")])
def test_places_are_moved_alike(steps: int, run: str) -> None:
    data = stored("anovl")
    for places, expected in zip(data["patches"], data[f"{run}.places"], strict=True):
        moved = adapt_places(places, data["texts"], data["states"], steps=steps, temperature=1.0, seed=0)
        assert_near(moved, expected, rtol=0, atol=5e-5)  # of unit length
        still = adapt_places(places, data["texts"], data["states"], steps=0, temperature=1.0, seed=0)
        assert (still - expected).abs().max() > 1e-3


@pytest.mark.usefixtures("given_noise")
@pytest.mark.parametrize(("steps", "run"), [(0, "plain"), (5, "adapted.map"), (40, "long.map")])
def test_maps_are_the_same(detector: iad_clip.IADCLIP, monkeypatch: pytest.MonkeyPatch, steps: int, run: str) -> None:
    detector.adapt_steps = steps
    monkeypatch.setattr(iad_clip, "upsample", lambda maps, size: maps)
    monkeypatch.setattr(iad_clip, "smooth", lambda maps, sigma: maps)
    found = detector(stored("april_gan")["images"] / 255).anomaly_map
    assert_near(found, stored("anovl")[run], rtol=1e-5)
