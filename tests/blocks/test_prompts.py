from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from blemish.blocks.prompts import (
    ANOVL,
    APRIL_GAN,
    WINCLIP,
    WORDINGS,
    ProductTexts,
    Wording,
    defect_prototypes,
    ensemble,
    prototypes,
    sentences,
    type_prompts,
    type_prototypes,
)
from blemish.errors import BadInput, UnknownName
from blemish.types import TextEncoder

each_wording = pytest.mark.parametrize("words", WORDINGS.values(), ids=WORDINGS)


class Reader:
    """A stub that reads every sentence as numbers of its own, of very different lengths."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        self.read += texts
        seeds = [sum(map(ord, text)) for text in texts]
        rows = [torch.randn(6, generator=torch.Generator().manual_seed(seed)) * (1 + seed % 5) for seed in seeds]
        return torch.stack(rows)


def embedded(reader: Reader, product: str, words: Wording = WINCLIP, *, normalize_sentences: bool = False) -> Tensor:
    return prototypes(cast(TextEncoder, reader), product, words, normalize_sentences=normalize_sentences)


def test_winclip_has_22_templates_and_154_and_88_sentences() -> None:
    assert len(WINCLIP.templates) == 22
    assert len(sentences(WINCLIP.normal, WINCLIP.templates, "cap")) == 154
    assert len(sentences(WINCLIP.anomalous, WINCLIP.templates, "cap")) == 88


def test_april_gan_has_35_templates_and_245_and_175_sentences() -> None:
    assert len(APRIL_GAN.templates) == 35
    assert len(sentences(APRIL_GAN.normal, APRIL_GAN.templates, "cap")) == 245
    assert len(sentences(APRIL_GAN.anomalous, APRIL_GAN.templates, "cap")) == 175


@each_wording
def test_no_sentence_comes_twice_and_each_names_the_product_once(words: Wording) -> None:
    for states in (words.normal, words.anomalous):
        made = sentences(states, words.templates, "metal cap")
        assert len(set(made)) == len(made)
        assert all(text.count("metal cap") == 1 and "{" not in text for text in made)
        assert {text.endswith(".") for text in made} == {words is not ANOVL}


def test_a_sentence_is_a_template_around_a_state_around_the_product() -> None:
    assert sentences(["{}", "bad {}"], ["a {}.", "the {}."], "nut") == [
        "a nut.",
        "a bad nut.",
        "the nut.",
        "the bad nut.",
    ]


@each_wording
@pytest.mark.parametrize("normalize", [False, True])
def test_prototypes_are_unit_means_of_each_class(words: Wording, normalize: bool) -> None:
    found = embedded(Reader(), "cap", words, normalize_sentences=normalize)
    expected = []
    for states in (words.normal, words.anomalous):
        rows = Reader().encode_text(sentences(states, words.templates, "cap"))
        mean = (F.normalize(rows, dim=1) if normalize else rows).mean(0)
        expected.append(mean / mean.square().sum().sqrt())
    assert_close(found, torch.stack(expected))


def test_normalising_sentences_makes_a_difference() -> None:
    plain, normed = (embedded(Reader(), "cap", normalize_sentences=each) for each in (False, True))
    assert not torch.allclose(plain, normed, atol=1e-3)


def test_all_sentences_are_read_at_once() -> None:
    reader = Reader()
    embedded(reader, "cap")
    assert len(reader.read) == 154 + 88


@pytest.mark.parametrize("product", ["", "  ", "\n"])
def test_a_product_without_a_name_is_refused(product: str) -> None:
    with pytest.raises(BadInput, match="say what the part is"):
        embedded(Reader(), product)


def test_a_name_with_braces_is_taken_as_it_is() -> None:
    assert sentences(["bad {}"], ["a {}."], "{nut}") == ["a bad {nut}."]


def test_wordings_go_by_name() -> None:
    assert ensemble("winclip") is WINCLIP
    with pytest.raises(UnknownName, match="april-gan, winclip"):
        ensemble("none")


def test_a_named_defect_is_the_unit_mean_of_its_sentences() -> None:
    reader = Reader()
    found = defect_prototypes(cast(TextEncoder, reader), "cap", ["dent", "{odd} mark"], WINCLIP)
    assert reader.read[:1] == [WINCLIP.templates[0].format("cap with dent")]
    assert reader.read[len(WINCLIP.templates)] == WINCLIP.templates[0].format("cap with {odd} mark")
    rows = Reader().encode_text(reader.read[: len(WINCLIP.templates)])
    assert_close(found[0], F.normalize(rows.mean(0), dim=0))
    assert found.shape[0] == 2


@pytest.mark.parametrize("defects", ["dent", [""], ["dent", " "]])
def test_a_defect_without_a_name_and_a_single_string_are_refused(defects: str | list[str]) -> None:
    with pytest.raises(BadInput, match="give a list"):
        defect_prototypes(cast(TextEncoder, Reader()), "cap", defects)


def test_types_are_the_good_product_and_the_product_with_each_defect() -> None:
    reader = cast(TextEncoder, Reader())
    found = type_prototypes(reader, "cap", ["deep_dent", "hole"])
    expected = [prototypes(reader, "cap")[:1], defect_prototypes(reader, "cap", ["deep dent", "hole"])]
    assert_close(found, torch.cat(expected))
    assert_close(type_prototypes(reader, "cap", {"A1": "deep dent", "A2": "hole"}), found)
    assert_close(type_prototypes(reader, "cap", ()), prototypes(reader, "cap"))


def test_types_have_words() -> None:
    assert type_prompts("cap", ["deep_dent"]) == {"deep_dent": "cap with deep dent", "": "cap with an unknown defect"}
    assert type_prompts("cap", {"A1": "hole"})["A1"] == "cap with hole"
    assert list(type_prompts("cap", ())) == ["defect", ""]
    assert list(type_prompts("cap", {"B": "dent", "A": "hole"})) == ["A", "B", ""]


def test_what_is_said_of_a_product_is_read_once() -> None:
    asked = list[str]()

    def read(product: str) -> torch.Tensor:
        asked.append(product)
        return torch.full((2, 3), float(len(product)))

    texts = ProductTexts(read)
    found = texts(["cap", "bottle", "cap"], torch.device("cpu"))
    assert found.shape == (3, 2, 3)
    assert found[:, 0, 0].tolist() == [3, 6, 3]
    assert texts(["bottle"], torch.device("cpu"))[0, 0, 0] == 6
    assert sorted(asked) == ["bottle", "cap"]
