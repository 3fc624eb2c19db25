"""Classifiers that say where they looked."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.explanations import attention_rollout
from blemish.blocks.prompts import prototypes
from blemish.classifiers.hot_rolled import HotRolled
from blemish.classifiers.sem_clip import SemClip
from blemish.encoders.clip import CLIP
from blemish.encoders.transformer import Block
from blemish.encoders.vit import VisionTransformer
from blemish.errors import BadInput
from blemish.types import TextEncoder, TypedExamples

encoder = cast(TextEncoder, encoders.load(encoders.TINY))
TYPES = ("hole", "stain")


def drawn(count: int, seed: int = 0) -> Tensor:
    """Half of them have a dark square, half a red tint."""
    images = 0.5 + 0.02 * torch.randn(2 * count, 3, 64, 64, generator=torch.Generator().manual_seed(seed))
    images[:count, :, 8:32, 8:32] = 0.0
    images[count:, 0] += 0.4
    return images.clamp(0, 1)


def examples(classifier: HotRolled | SemClip, count: int = 4) -> TypedExamples:
    types = torch.eye(2, dtype=torch.bool).repeat_interleave(count, 0)
    return TypedExamples(classifier.look(drawn(count))[:, None], types)


def test_contrast_moves_pictures_to_their_words_and_heat_is_where_they_differ() -> None:
    classifier = HotRolled(encoder, types=TYPES, image_size=64)
    classifier.fit(examples(classifier))
    new = drawn(3, seed=1)
    assert torch.equal(classifier(classifier.look(new)[:, None]).argmax(1), torch.arange(2).repeat_interleave(3))
    heat = classifier.heat(new)
    assert heat.shape == (6, 2, 64, 64)
    assert (heat >= 0).all()


def test_roll_out_is_of_the_attention_that_the_tower_computes() -> None:
    tower, images = cast(CLIP, encoder).visual, drawn(1)
    assert isinstance(tower, VisionTransformer)
    attentions, x = tower.attentions(images), tower.embed(images)
    for each, block in zip(attentions, tower.blocks, strict=True):
        assert isinstance(block, Block)
        torch.testing.assert_close(block.project(each @ block.split(x)[2]), block.attend(*block.split(x)))
        x = block(x)
    found = HotRolled(encoder, types=TYPES, image_size=64).attention(images)
    grid = attention_rollout(attentions)[:, 0, 1:].unflatten(1, (8, 8))
    torch.testing.assert_close(found, F.interpolate(grid[:, None], (64, 64), mode="bilinear")[:, 0])
    with pytest.raises(BadInput, match="no transformer blocks"):
        HotRolled(encoders.DEFAULT, types=TYPES).attention(images)


def test_what_is_seen_is_what_looks_defective_beside_the_whole() -> None:
    classifier = SemClip(encoder, types=TYPES, product="chip", image_size=64)
    places = classifier.places(drawn(1))
    texts = prototypes(encoder, "chip")
    chance = (places @ texts.T / 0.07).softmax(-1)[..., 1:]
    seen = classifier.look(drawn(1))
    torch.testing.assert_close(seen[:, :32], F.normalize((chance * places).mean((1, 2)), dim=-1))
    torch.testing.assert_close(seen[:, 32:], F.normalize(encoder(drawn(1)).image, dim=-1))


def test_masks_say_where_something_looks_defective_and_of_which_type() -> None:
    classifier = SemClip(encoder, types=TYPES, image_size=64)
    classifier.fit(examples(classifier))
    masks, places = classifier.masks(drawn(1)), classifier.places(drawn(1))
    chance = (places @ classifier.states.T / 0.07).softmax(-1)[..., 1]
    torch.testing.assert_close(masks.sum(1), chance)
    one = classifier(torch.cat([places[0, 2, 3], places[0, 2, 3]])[None, None]).softmax(1)
    torch.testing.assert_close(masks[0, :, 2, 3], chance[0, 2, 3] * one[0], rtol=1e-3, atol=1e-5)
