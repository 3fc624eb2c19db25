"""Types of defects as combinations of visual attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish.errors import BadInput

GEOMETRIC = ("a long thin shape", "a branching shape", "a round shape", "an irregular outline", "sharp corners")
SPATIAL = ("one single mark", "many scattered marks", "parallel marks", "marks over the whole surface", "the edge")
TEXTURAL = ("a dark colour", "a bright colour", "another colour", "a rough surface", "a deep opening", "a flat spot")
ATTRIBUTES = (*GEOMETRIC, *SPATIAL, *TEXTURAL)
"""What is looked for where no other attributes are named."""


def vocabulary_of(attributes: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Every attribute that is named of a type, once, or those of `ATTRIBUTES`."""
    return tuple(dict.fromkeys(each for named in attributes.values() for each in named)) or ATTRIBUTES


def attribute_table(
    types: Sequence[str],
    attributes: Mapping[str, Sequence[str]],
    meant: Tensor,
    texts: Tensor,
    *,
    sharpness: float = 6.0,
) -> Tensor:
    """How much each type is expected to have each attribute of the vocabulary, in [0, 1]: (K, A).

    1 or 0 for a type whose attributes are named. Of others words decide: the cosine of what the type (K, D) and the
    attributes (A, D) mean, against what types usually have of each attribute, and each type of any; `sharpness` is the
    logit of a deviation above that. By ten examples of 4 and 7 types of real defects 6 told them apart better than 2.
    """
    if strange := sorted(set(attributes) - set(types)):
        raise BadInput(f"attributes are named of {', '.join(strange)}, and the types are {', '.join(types)}")
    words, vocabulary = meant @ texts.T, vocabulary_of(attributes)
    words = words - words.mean(0) - words.mean(1, keepdim=True) + words.mean()
    table = torch.sigmoid(sharpness * words / words.std(correction=0).clamp_min(1e-6))
    for number, name in enumerate(types):
        if name in attributes:
            table[number] = torch.tensor([float(each in attributes[name]) for each in vocabulary])
    return table


def combine_attributes(logits: Tensor, table: Tensor) -> Tensor:
    """Of logits of attributes (N, A) and what types have of them (K, A): log of the product of all evidence, (N, K)."""
    return F.logsigmoid(logits) @ table.T + F.logsigmoid(-logits) @ (1 - table).T
