"""Logits of types -> what a defect is called, how sure that is, and what it is most like; no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from blemish.calibration.prediction_sets import Sureness
from blemish.classification.names import UNKNOWN, Severity
from blemish.classification.regions import Inside
from blemish.data.several_types import JOINED
from blemish.images import Places

RANKS = 3
"""Types that are listed with their probabilities, the likeliest."""


class Named(NamedTuple):
    """What a defect is called."""

    type: str  # UNKNOWN where it is of no known one; of what may be several, all, joined as labels are: "crack+stain"
    probability: float  # of the likeliest known type
    others: tuple[str, ...]  # the types that it may be, the likeliest first; holds the right one as often as stated.
    # Empty: none fits it as well as that share of examples fitted theirs
    like: str = ""  # the example of that type that looks most like it, as "type/name"
    ranks: tuple[tuple[str, float], ...] = ()  # the likeliest types with their probabilities, `RANKS` at most
    words: str = ""  # those about the likeliest type that fit best, of a classifier that compares with words

    def as_json(self) -> dict[str, Any]:
        """Plain values, as a line of `results.jsonl` has them of a region; no probability of what is unknown."""
        return {
            "type": self.type,
            "probability": None if self.type == UNKNOWN else round(self.probability, 4),
            "may_be": list(self.others),
            "likeliest": {name: round(chance, 4) for name, chance in self.ranks},
            **({"like": self.like} if self.like else {}),
            **({"words": self.words} if self.words else {}),
        }


@dataclass(frozen=True)
class Shown:
    """The examples that a namer was taught, for comparison."""

    seen: NDArray[np.float32]  # (M, D)
    numbers: NDArray[np.int64]  # (M,), of the type of each
    names: Sequence[str]  # of the picture of each

    @cached_property
    def usual(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """The mean and the deviation of what is seen of them, (D,) each."""
        return self.seen.mean(0), np.maximum(self.seen.std(0), 1e-6)


class RegionNamer(Protocol):
    """Names regions that a detector has found."""

    @property
    def sureness(self) -> Sureness:
        """How sure its types are."""

    @property
    def severities(self) -> Mapping[str, Severity]:
        """What follows from a type, of those that have one."""

    def name_regions(
        self, picture: NDArray[Any], places: Sequence[Places], regions: Sequence[Inside]
    ) -> Sequence[Named]:
        """Of a picture (3, H, W), and of what was seen of its places, in the order of the regions."""


def call_defects(
    logits: NDArray[Any], seen: NDArray[Any], types: Sequence[str], sureness: Sureness, shown: Shown | None
) -> list[Named]:
    """Of logits (N, K) of these types, and of what was seen of each defect, (N, V, D)."""
    chances = sureness.chances(logits)
    rows = zip(logits, chances, sureness.limit(chances), sureness.sets(chances), seen, strict=True)
    found = list[Named]()
    for own, chance, probability, held, row in rows:
        order = np.argsort(-chance, kind="stable").tolist()
        like = "" if shown is None else _most_like(shown, row, order[0])
        found.append(
            Named(
                _type_of(order, own, probability, types, sureness),
                float(probability[order[0]]),
                tuple(types[number] for number in order if held[number]),
                like and f"{types[order[0]]}/{like}",
                tuple((types[number], float(probability[number])) for number in order[:RANKS]),
            )
        )
    return found


def say_words(named: Sequence[Named], sayings: Sequence[str], chosen: Sequence[int]) -> list[Named]:
    """With the words of these numbers that fit each best."""
    return [each._replace(words=sayings[number]) for each, number in zip(named, chosen, strict=True)]


def _type_of(
    order: Sequence[int],
    logits: NDArray[Any],
    probability: NDArray[np.float64],
    types: Sequence[str],
    sureness: Sureness,
) -> str:
    """The likeliest, in order, or of several all that are likelier than not; unknown where it is like none."""
    if sureness.middle is None:
        return types[order[0]] if logits.max() >= sureness.least else UNKNOWN
    return JOINED.join(sorted(types[number] for number in order if probability[number] >= 0.5)) or UNKNOWN


def _most_like(shown: Shown, seen: NDArray[Any], number: int) -> str:
    """The name of the example of a type that is nearest to what is seen (V, D); "" where there is none."""
    of = np.flatnonzero(shown.numbers == number)
    if not len(of):
        return ""
    centre, spread = shown.usual
    own, others = (seen.mean(0) - centre) / spread, (shown.seen[of] - centre) / spread
    near = others @ own / np.maximum(np.linalg.norm(others, axis=1), 1e-12)
    return shown.names[int(of[near.argmax()])]
