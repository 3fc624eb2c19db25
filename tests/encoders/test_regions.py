"""Encoders that are shown a region beside the picture (AlphaCLIP)."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
import torch
from tests.support.checkpoints import PARITY, drawn, parity_state, pictures, saved

from blemish import encoders
from blemish.classifiers.mvrec import MVREC
from blemish.encoders.clip import CLIP
from blemish.encoders.vit import VisionTransformer
from blemish.errors import BadInput

LAYOUT, FILE = "open_clip_vit_head64", "open_clip_model.safetensors"
CONFIG = "open_clip_config.json"


def alpha_clip(folder: Path, *, scale: float) -> CLIP:
    """A checkpoint in AlphaCLIP's names: OpenAI's, and a convolution of the region."""
    state = parity_state(LAYOUT, FILE)
    width, _, patch, _ = state["visual.conv1.weight"].shape
    state["visual.conv1_alpha.weight"] = scale * drawn(width, 1, patch, patch)
    (folder / CONFIG).write_bytes((PARITY / LAYOUT / CONFIG).read_bytes())
    return cast(CLIP, encoders.load(saved(state, folder / FILE)))


def shown(encoder: CLIP) -> tuple[torch.Tensor, torch.Tensor]:
    images = pictures(encoder.image_size, encoder.image_size)
    regions = torch.zeros(2, encoder.image_size, encoder.image_size)
    regions[:, : encoder.patch_size] = 1
    return images, regions


def test_a_convolution_of_zeros_changes_nothing(tmp_path: Path) -> None:
    encoder = alpha_clip(tmp_path, scale=0)
    assert encoder.sees_regions
    images, regions = shown(encoder)
    torch.testing.assert_close(encoder.encode_regions(images, regions), encoder(images).image)


def test_the_region_is_added_to_the_patches_as_said(tmp_path: Path) -> None:
    encoder = alpha_clip(tmp_path, scale=1)
    visual, (images, regions) = cast(VisionTransformer, encoder.visual), shown(encoder)
    assert visual.alpha is not None
    added = torch.nn.functional.conv2d((regions[:, None] - 0.5) / 0.26, visual.alpha.weight, stride=encoder.patch_size)
    patches = visual.patch((images - visual.mean) / visual.std) + added
    tokens = torch.cat([visual.prefix.expand(2, -1, -1), patches.flatten(2).transpose(1, 2)], 1) + visual.positions
    tokens = visual.norm_pre(tokens)
    for block in visual.blocks:
        tokens = block(tokens)
    found = encoder.encode_regions(images, regions)
    torch.testing.assert_close(found, visual.project(tokens[:, 0]), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(found, encoder(images).image, rtol=1e-2)


def test_mvrec_shows_it_the_region(tmp_path: Path) -> None:
    encoder = alpha_clip(tmp_path, scale=1)
    images, regions = shown(encoder)
    classifier = MVREC(encoder, types=["hole", "stain"])
    assert torch.equal(classifier.look_inside(images, regions), encoder.encode_regions(images, regions))
    places = classifier.places(images)
    assert classifier.gather(places, torch.ones(places.shape[:3])).shape == classifier.look(images).shape


def test_others_say_that_they_cannot() -> None:
    encoder = cast(CLIP, encoders.load(encoders.TINY))
    assert not encoder.sees_regions
    with pytest.raises(BadInput, match="weights of AlphaCLIP"):
        encoder.encode_regions(torch.zeros(1, 3, 64, 64), torch.zeros(1, 64, 64))
