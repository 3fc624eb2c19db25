"""Types as combinations of attributes, against plain definitions."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from blemish.blocks.attributes import ATTRIBUTES, attribute_table, combine_attributes, vocabulary_of
from blemish.errors import BadInput


def test_evidence_is_multiplied_over_what_is_there_and_what_is_not() -> None:
    logits, table = torch.randn(4, 3), torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    there = logits.sigmoid()
    expected = torch.stack([there[:, 0] * (1 - there[:, 1]) * there[:, 2], (1 - there[:, :2]).prod(1) * there[:, 2]], 1)
    torch.testing.assert_close(combine_attributes(logits, table).exp(), expected)


def test_named_attributes_are_there_and_of_other_types_words_decide() -> None:
    attributes = {"crack": ["thin", "dark"], "hole": ["round", "dark"]}
    assert vocabulary_of(attributes) == ("thin", "dark", "round")
    assert vocabulary_of({}) == ATTRIBUTES
    texts = F.normalize(torch.randn(3, 8), dim=1)
    meant = torch.stack([texts[0], texts[1], texts[2]])
    table = attribute_table(["crack", "hole", "stain"], attributes, meant, texts)
    assert table[:2].tolist() == [[1, 1, 0], [0, 1, 1]]
    assert table[2].argmax() == 2
    with pytest.raises(BadInput, match="attributes are named of dent"):
        attribute_table(["crack"], {"dent": ["deep"]}, meant[:1], texts)
