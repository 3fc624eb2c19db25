"""OV-IAD: open-vocabulary industrial anomaly detection with words of a language model. Reconstructed from the title."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from blemish import encoders
from blemish.errors import BadInput
from blemish.synth.drawn.words import SYNONYMS
from blemish.training.sentences import TOKENS
from blemish.training.typed_sentences import ANY, TypedSentenceDetector
from blemish.types import Encoder

Describer = Callable[[str], Sequence[str]]
"""Other words for a type of defect, as a language model may give them."""


def describe_by_list(name: str) -> Sequence[str]:
    """A `Describer` that needs nothing: the words that the drawn corpus has for such a flaw."""
    return sorted(SYNONYMS.get(name, ()))


class OVIAD(TypedSentenceDetector):
    """Places against sentences of any types of defects, each by its name and by a describer's words for it.

    vocabulary: the types, by their names. words: "described" by a list that ships, or their "names" alone.
    The title says that a language model gives words for an open vocabulary; all else is chosen.
    """

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        vocabulary: Sequence[str] = (),
        words: Literal["described", "names"] = "described",
        tokens: int = TOKENS,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        if words == "names" and not vocabulary:
            raise BadInput("words are of types that are named: give their names as vocabulary too")
        names = [name.replace("_", " ") for name in vocabulary or (ANY,)]
        phrases = [(name, *(describe_by_list(name) if words == "described" else ())) for name in names]
        super().__init__(
            encoder, vocabulary=vocabulary, phrases=phrases, tokens=tokens, image_size=image_size, seed=seed
        )
        self.words = words
        self.requires_grad_(False).eval()
