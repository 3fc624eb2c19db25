"""A student that is told of metadata, or not, and its teacher."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.described_words import word_prototypes
from blemish.classifiers.self_distilled import SelfDistilled
from blemish.errors import BadInput
from blemish.types import TextEncoder, TypedExamples

encoder = cast(TextEncoder, encoders.load(encoders.TINY))
METADATA = {"line": "line 3", "id": "A17"}


def seen(classifier: SelfDistilled, seed: int = 0) -> Tensor:
    """Good ones and ones with a dark square, each in two views."""
    images = 0.5 + 0.02 * torch.randn(8, 3, 64, 64, generator=torch.Generator().manual_seed(seed))
    images[4:, :, 8:32, 8:32] = 0.0
    return torch.stack([classifier.look(images.clamp(0, 1)), classifier.look(images.clamp(0, 1).flip(-1))], 1)


def made(**arguments: float) -> SelfDistilled:
    settings = {"dropout": 0.5, "momentum": 0.9, "distil": 1.0} | arguments
    return SelfDistilled(
        encoder, types=("good", "defect"), product="gear", metadata=METADATA, image_size=64,
        dropout=settings["dropout"], momentum=settings["momentum"], distil=settings["distil"],
    )  # fmt: skip


TYPES = torch.tensor([[True, False], [False, True]]).repeat_interleave(4, 0)


def test_sentences_are_made_of_every_choice_of_metadata() -> None:
    classifier = made()
    for number, said in enumerate(("gear line 3 A17", "gear line 3", "gear A17", "gear")):
        expected = word_prototypes(encoder, said, ("good", "defect"), {})
        torch.testing.assert_close(classifier.texts[number], expected)
    with pytest.raises(BadInput, match="metadata of 5 kinds"):
        SelfDistilled(encoder, types=("a", "b"), metadata=dict.fromkeys("abcde", "x"))


def test_what_is_learned_survives_where_there_are_no_metadata() -> None:
    classifier = made()
    classifier.fit(TypedExamples(seen(classifier), TYPES))
    new = seen(classifier, 1)
    for texts in classifier.texts:
        classifier.texts = texts[None]
        assert torch.equal(classifier(new).argmax(1), TYPES.float().argmax(1))


def test_logits_are_cosines_of_moved_pictures_with_all_that_is_known() -> None:
    classifier = made()
    examples = TypedExamples(seen(classifier), TYPES)
    classifier.fit(examples)
    mean = examples.seen.mean(1)
    axes, slope, offset = (classifier.moves.get_buffer(name) for name in ("axes", "slope", "offset"))
    moved = F.normalize(mean[:, :32], dim=1) + classifier.balance(mean) @ axes @ slope + offset
    torch.testing.assert_close(classifier(examples.seen), F.cosine_similarity(
        moved[:, None], classifier.texts[0][None], dim=-1) / 0.04, rtol=1e-4, atol=1e-4)  # fmt: skip


def test_a_slow_teacher_moves_less_and_distillation_changes_what_is_learned() -> None:
    moved = []
    for arguments in ({}, {"momentum": 0.99}, {"distil": 0.0}):
        classifier = made(**arguments)
        classifier.fit(TypedExamples(seen(classifier), TYPES))
        moved.append(classifier.moves.get_buffer("slope"))
    assert moved[1].norm() < moved[0].norm()
    assert not torch.allclose(moved[0], moved[2])
