from __future__ import annotations

from typing import cast

import pytest
import torch
from tests.contract.test_every_encoder import made, pictures
from torch.nn import functional as F
from torch.testing import assert_close

from blemish.blocks.joint_space import defect_logits, read_in_words
from blemish.blocks.similarity import anomaly_probability
from blemish.encoders.clip import CLIP
from blemish.types import Features, TextEncoder


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_logit_of_a_defect_is_that_of_its_probability_for_pictures_and_for_their_last_places() -> None:
    seen, texts = (
        Features(drawn(3, 6), (drawn(3, 9, 9, 6), drawn(3, 2, 4, 6, seed=2))),
        F.normalize(drawn(2, 6, seed=1)),
    )
    picture, grid = defect_logits(seen, texts, 0.07)
    assert_close(picture.sigmoid(), anomaly_probability(seen.image, texts), rtol=1e-4, atol=1e-6)
    assert_close(grid.sigmoid(), anomaly_probability(seen.patches[1], texts), rtol=1e-4, atol=1e-6)


def test_patches_of_a_transformer_are_read_from_19_of_24_blocks_and_the_picture_without_the_last_norm() -> None:
    encoder, images = cast(CLIP, made("test-tiny")), pictures(64, 64)
    found = read_in_words(encoder, images, (2, 4))
    expected = encoder(images, layers=(2, 4), projected=True, attention="vv", last=3, normed=False)
    assert all(torch.equal(one, other) for one, other in zip(found.patches, expected.patches, strict=True))
    assert torch.equal(found.image, expected.image)
    other = read_in_words(encoder, images, (4,), attention="echo", last=1, normed=True)
    assert torch.equal(other.image, encoder(images).image)
    assert torch.equal(
        other.patches[0], encoder(images, layers=(4,), projected=True, attention="echo", last=1).patches[0]
    )


@pytest.mark.parametrize("name", ["embedded", "clip-resnet-pair"])
def test_a_residual_network_has_no_second_stream(name: str) -> None:
    encoder, images = cast(TextEncoder, made(name)), pictures(64, 64)
    found, plain = read_in_words(encoder, images, (encoder.depth,)), encoder(images, layers=(encoder.depth,))
    assert torch.equal(found.image, plain.image)
    assert torch.equal(found.patches[0], encoder.project(plain.patches[0]))
