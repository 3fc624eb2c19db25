"""Classifiers that fuse words with pictures, or windows with the whole, against plain definitions."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.described_words import word_prototypes
from blemish.blocks.prompts import BUILDING
from blemish.classifiers.fine_to_coarse import FineToCoarse
from blemish.classifiers.prompt_images import PromptImages
from blemish.classifiers.ridge import Ridge
from blemish.classifiers.words import Words
from blemish.errors import BadInput
from blemish.types import TextEncoder, TypedExamples

TYPES = ("hole", "scratch", "stain")


def pictures(count: int, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(seed))


def test_words_and_pictures_are_added_by_deviations_of_what_examples_have() -> None:
    encoder = cast(TextEncoder, encoders.load(encoders.TINY))
    both = PromptImages(encoder, types=TYPES, trust=0.3, image_size=64)
    seen, new = (both.look(pictures(6, seed))[:, None] for seed in (0, 1))
    examples = TypedExamples(seen, torch.eye(3, dtype=torch.bool).repeat(2, 1))
    pictures_alone = Ridge(encoder, types=TYPES, image_size=64).fit(examples)(new)
    texts = word_prototypes(both.encoder, "object", TYPES, {})
    usual, said = (F.normalize(each[:, 0, :32], dim=1) @ texts.T for each in (seen, new))
    words = (said - usual.mean(0)) / usual.std(0, correction=0)
    torch.testing.assert_close(both.fit(examples)(new), pictures_alone + 10 * 0.3 * words, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("several", [False, True])
def test_of_a_type_that_nobody_showed_words_decide(several: bool) -> None:
    encoder = cast(TextEncoder, encoders.load(encoders.TINY))
    both = PromptImages(encoder, types=TYPES[:2], several=several, image_size=64)
    seen = both.look(pictures(4))[:, None]
    seen[..., :32] = both.texts[0] + 0.01 * torch.randn(4, 1, 32, generator=torch.Generator().manual_seed(0))
    both.fit(TypedExamples(seen, torch.tensor([[True, False]]).repeat(4, 1)))
    asked = seen[:2].clone()
    asked[1, :, :32] = both.texts[1]
    assert both(asked).argmax(1).tolist() == [0, 1]


def test_without_examples_words_alone_decide() -> None:
    encoder, images = cast(TextEncoder, encoders.load(encoders.TINY)), pictures(3)
    words, both = (made(encoder, types=TYPES, image_size=64) for made in (Words, PromptImages))
    expected = words(words.look(images)[:, None])
    torch.testing.assert_close(both(both.look(images)[:, None]), expected, rtol=1e-4, atol=1e-4)
    whole = FineToCoarse(encoder, types=TYPES, image_size=64, share=0.0, scale=1 / 0.07)
    centred = expected - expected.mean(1, keepdim=True)
    torch.testing.assert_close(whole(whole.look(images)[:, None]), centred, rtol=1e-4, atol=1e-4)


def test_a_small_defect_counts_where_it_is_and_several_types_are_learned_of_one_picture() -> None:
    encoder = cast(TextEncoder, encoders.load(encoders.TINY))
    fine = FineToCoarse(encoder, types=TYPES, several=True, image_size=64, penalty=1e-6, steps=100)
    images = pictures(12) * 0.1 + 0.45
    types = torch.tensor([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=torch.bool).repeat(3, 1)
    images[types[:, 0], :, 8:24, 40:56] = 0.0
    images[types[:, 1], :, 40:44] = 1.0
    images[types[:, 2], 0] += 0.4
    found = fine.fit(TypedExamples(fine.look(images)[:, None], types))(fine.look(images)[:, None])
    assert torch.equal(found > 0, types)


def test_windows_are_described_as_regions_are() -> None:
    encoder = cast(TextEncoder, encoders.load(encoders.TINY))
    fine, plain = FineToCoarse(encoder, types=TYPES, image_size=64), PromptImages(encoder, types=TYPES, image_size=64)
    images, weights = pictures(2), torch.zeros(2, 8, 8)
    weights[:, :4, 4:] = 1
    windows = fine.look(images).unflatten(1, (5, -1))
    torch.testing.assert_close(windows[:, 1], plain.gather(plain.places(images), weights))
    torch.testing.assert_close(windows[:, 4], plain.look(images))
    with pytest.raises(BadInput, match="finest=3"):
        FineToCoarse(encoder, types=TYPES, finest=3)


def test_of_all_that_is_said_of_a_type_the_phrase_that_lies_nearest_is_said() -> None:
    encoder = cast(TextEncoder, encoders.load(encoders.TINY))
    words = Words(encoder, types=TYPES, words={"stain": ["a dark round spot", "a brown mark"]}, image_size=64)
    for number, phrases in enumerate((["hole"], ["scratch"], ["stain", "a dark round spot", "a brown mark"])):
        for phrase in phrases:
            seen = word_prototypes(encoder, "object", [phrase], {})  # (1, D), in one view
            chosen = words.choose_words(seen[:, None], torch.tensor([number]))
            assert words.sayings[int(chosen)] == phrase
    assert not any("said" in name for name in words.state_dict())  # what recipes hold stays the same


def test_definitions_of_defects_of_buildings_are_said_beside_their_names() -> None:
    types = sorted(BUILDING)
    found = Words(cast(TextEncoder, encoders.load(encoders.TINY)), types=types, words=BUILDING, image_size=64)
    assert found.sayings == [phrase for name in types for phrase in (name, *BUILDING[name])]
    assert all(len(phrase.split()) > 5 and name not in phrase for name in types for phrase in BUILDING[name])
