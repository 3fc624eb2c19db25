from __future__ import annotations

from typing import cast

import pytest
from tests.contract.test_every_encoder import made, pictures
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from blemish.blocks.text_adapters import ChangedReader, TextAdapters, text_targets
from blemish.types import PromptEncoder, SeamEncoder

TEXTS = ["a cap", "a damaged cap"]
encoders = pytest.mark.parametrize("name", ["embedded", "clip-resnet-pair", "test-tiny"])


@encoders
def test_nothing_changed_reads_as_the_encoder_does(name: str) -> None:
    encoder = cast(PromptEncoder, made(name))
    assert_close(ChangedReader(encoder).encode_text(TEXTS), encoder.encode_text(TEXTS), rtol=1e-4, atol=1e-5)


@encoders
def test_adapters_stand_behind_the_first_blocks_and_the_head_replaces_the_projection(name: str) -> None:
    encoder = cast(PromptEncoder, made(name))
    adapters = TextAdapters(encoder.prompt_width, 7, blocks=1, weight=0.25, seed=3)

    weight = dict(adapters.named_parameters())["adapters.0.linear.weight"]

    def between(tokens: Tensor, depth: int) -> Tensor:
        pushed = F.leaky_relu(tokens @ weight.T)
        matched = pushed * tokens.norm(dim=-1, keepdim=True) / pushed.norm(dim=-1, keepdim=True)
        return 0.75 * tokens + 0.25 * matched if depth == 1 else tokens

    ends = encoder.encode_prompts([(text,) for text in TEXTS], between=between, head=lambda end: end)
    expected = F.leaky_relu(ends @ adapters.head.weight.T)
    found = adapters(encoder).encode_text(TEXTS)
    assert found.shape == (2, 7)
    assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_the_targets_of_texts_are_patches_with_the_picture_added() -> None:
    encoder = cast(SeamEncoder, made("test-tiny"))
    images = pictures(64, 64)
    (found,) = text_targets(cast(PromptEncoder, encoder), images, None)
    whole, (patches,) = encoder(images, layers=[4], projected=True, attention="vv", last=3)
    for place, target in zip(patches[1, 2], found[1, 2], strict=True):
        assert_close(target, place / place.norm() + whole[1] / whole[1].norm())
    assert len(text_targets(cast(PromptEncoder, encoder), images, (2, 4))) == 2
    residual = cast(PromptEncoder, made("embedded"))
    whole, (patches,) = residual(images, layers=[5])
    expected = F.normalize(residual.project(patches), dim=-1) + F.normalize(whole, dim=-1)[:, None, None]
    assert_close(text_targets(residual, images, None)[0], expected)
