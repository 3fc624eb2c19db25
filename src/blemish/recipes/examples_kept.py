"""What a recipe that names defects keeps beside its classifier: the examples that taught it; no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.classification.calls import Shown
from blemish.classification.names import Names

LEARNED = "names.state."
"""The prefix of what the classifier has learned."""
SEEN, OF, NUMBERS, LIKE = (
    "names.seen",  # float16 (M, V, D), what it sees of each example
    "names.of",  # int64 (M,), the picture of each, as `known_defects.number`
    "names.type",  # int64 (M,), the number of its type
    "names.like",  # uint8 (B,), the names of their pictures, UTF-8, each ended by a zero
)


def may_name(names: Names) -> bool:
    """Whether there is more than one type, or words to compare the only one with."""
    return len(names.types) > 1 or names.classifier == "words"


def shown_examples(arrays: Mapping[str, NDArray[Any]]) -> Shown | None:
    """Of a recipe's tensors; raises ValueError or KeyError where they do not fit."""
    if SEEN not in arrays:
        return None
    found = Shown(arrays[SEEN].astype(np.float32).mean(1), arrays[NUMBERS], texts_of(arrays[LIKE]))
    if not len(found.seen) == len(found.numbers) == len(found.names):
        raise ValueError(f"lengths of {SEEN}, {NUMBERS} and {LIKE}")
    return found


def texts_of(packed: NDArray[np.uint8]) -> list[str]:
    """The names in a tensor as `LIKE`."""
    return packed.tobytes().decode().split("\0")[:-1]
