from __future__ import annotations

from itertools import chain

import numpy as np
import pytest

from blemish.encoders.embedded.words import split
from blemish.pretrain import sentences
from blemish.synth.drawn.flaws.flaws import FLAWS
from blemish.synth.drawn.materials.materials import MATERIALS
from blemish.synth.drawn.parts.parts import PARTS
from blemish.synth.drawn.words import SYNONYMS

PRODUCTS = [*(each.words for each in MATERIALS.values()), *(each.words for each in PARTS.values())]


def all_kinds(names: tuple[str, ...], family: str, rng: np.random.Generator) -> list[str]:
    product = sentences.product_name(names, rng)
    return [
        sentences.normal_sentence(product, rng),
        sentences.abnormal_sentence(product, rng),
        sentences.defect_sentence(product, family, rng),
    ]


def test_the_vocabulary_has_every_word_that_is_drawn() -> None:
    known = set(sentences.vocabulary(chain.from_iterable(PRODUCTS)))
    rng = np.random.default_rng(0)
    for _ in range(30):
        for family in sentences.FAMILIES:
            names = PRODUCTS[int(rng.integers(len(PRODUCTS)))]
            for sentence in all_kinds(names, family, rng):
                assert set(split(sentence)) <= known, sentence


def test_the_vocabulary_is_sorted_words_without_repetition() -> None:
    found = sentences.vocabulary(["Zinc-plated NUT", "nut"])
    assert list(found) == sorted(set(found))
    assert {"zinc", "plated", "nut", "photo", "scratch", "flawless"} <= set(found)
    assert all(split(word) == [word] for word in found)


def test_the_same_seed_draws_the_same_sentences() -> None:
    first, again, other = (all_kinds(("cap", "lid"), "dent", np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_a_sentence_names_the_product_and_a_flawed_one_its_flaw() -> None:
    rng = np.random.default_rng(1)
    for family in sentences.FAMILIES:
        words = (*FLAWS[family].words, *FLAWS[family].adjectives)
        for _ in range(5):
            assert "gizmo" in sentences.normal_sentence("gizmo", rng)
            assert "gizmo" in sentences.abnormal_sentence("gizmo", rng)
            said = sentences.defect_sentence("gizmo", family, rng)
            assert any(word in said for word in words), said


def test_good_and_bad_are_never_said_in_the_same_words() -> None:
    rng = np.random.default_rng(2)
    good, bad = (
        {say("gizmo", rng) for _ in range(500)} for say in (sentences.normal_sentence, sentences.abnormal_sentence)
    )
    assert not good & bad
    assert min(len(good), len(bad)) > 200


def test_a_part_goes_by_its_usual_name_most_often_and_now_and_then_by_anything() -> None:
    rng = np.random.default_rng(3)
    called = [sentences.product_name(("cap", "lid", "stopper"), rng) for _ in range(2000)]
    shares = {name: called.count(name) / len(called) for name in set(called)}
    assert set(shares) == {"cap", "lid", "stopper", *sentences.ANYTHING}
    assert shares["cap"] == pytest.approx(0.75 * (0.5 + 0.5 / 3), abs=0.04)
    assert shares["lid"] == pytest.approx(0.75 * 0.5 / 3, abs=0.04)
    assert {sentences.product_name((), rng) for _ in range(300)} == set(sentences.ANYTHING)


@pytest.mark.parametrize("family", sentences.FAMILIES)
def test_another_family_is_none_that_might_be_meant(family: str) -> None:
    rng = np.random.default_rng(4)
    others = {sentences.other_family(family, rng) for _ in range(50)}
    assert len(others) > 5
    assert not others & (SYNONYMS.get(family, frozenset()) | {family})
