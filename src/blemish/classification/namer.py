"""Names for defects, with what is known about them: how sure, what else it may be, and what it is most like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish.calibration.prediction_sets import Sureness
from blemish.classification.names import UNKNOWN, Severity
from blemish.types import Classifier, Reader

RANKS = 3
"""Types that are listed with their probabilities, the likeliest."""


class Named(NamedTuple):
    """What a defect is called."""

    type: str  # UNKNOWN where it is of no known one
    probability: float  # of the likeliest known type
    others: tuple[str, ...]  # the types that it may be, the likeliest first; holds the right one as often as stated
    like: str = ""  # the name of the example of that type that looks most like it
    ranks: tuple[tuple[str, float], ...] = ()  # the likeliest types with their probabilities, `RANKS` at most
    words: str = ""  # those about the likeliest type that fit best, of a classifier that compares with words

    def as_json(self) -> dict[str, Any]:
        """Plain values, as a line of `results.jsonl` has them of a region."""
        return {
            "type": self.type,
            "probability": round(self.probability, 4),
            "may_be": list(self.others),
            "likeliest": {name: round(chance, 4) for name, chance in self.ranks},
            **({"like": self.like} if self.like else {}),
            **({"words": self.words} if self.words else {}),
        }


@dataclass(frozen=True, slots=True)
class Shown:
    """The examples that a namer was taught, for comparison."""

    seen: Tensor  # (M, D)
    numbers: Tensor  # int64 (M,), of the type of each
    names: Sequence[str]  # of the picture of each


@dataclass(frozen=True, slots=True)
class Namer:
    """A classifier that has learned, how sure it is, and what follows from a type."""

    classifier: Classifier
    sureness: Sureness = field(default_factory=Sureness)
    severities: dict[str, Severity] = field(default_factory=dict)
    shown: Shown | None = None

    def name(self, seen: Tensor) -> list[Named]:
        """Of defects (N, V, D), see `Classifier`."""
        return self.call(logits_of(self.classifier, seen), seen)

    def call(self, logits: Tensor, seen: Tensor) -> list[Named]:
        """As `name`, by logits (N, K) that are known already."""
        probability = torch.from_numpy(self.sureness.probabilities(logits.numpy()))
        rows = zip(logits.amax(1).tolist(), probability, seen, strict=True)
        return [self._named(highest, each, row) for highest, each, row in rows]

    def _named(self, highest: float, probability: Tensor, seen: Tensor) -> Named:
        types, order = self.classifier.types, probability.argsort(descending=True).tolist()
        best, values = order[0], probability.tolist()
        may = tuple(types[number] for number in order if values[number] >= 1 - self.sureness.rest)
        known = highest >= self.sureness.least
        ranks = tuple((types[number], values[number]) for number in order[:RANKS])
        words = self.classifier.words_for(seen, best) if isinstance(self.classifier, Reader) else ""
        return Named(types[best] if known else UNKNOWN, values[best], may, self._most_like(seen, best), ranks, words)

    def _most_like(self, seen: Tensor, number: int) -> str:
        """The name of the example of a type that is nearest to what is seen (V, D); "" where there is none."""
        if self.shown is None or not (of := (self.shown.numbers == number).nonzero()[:, 0]).numel():
            return ""
        rows = self.shown.seen.float()
        centre, spread = rows.mean(0), rows.std(0, correction=0).clamp_min(1e-6)
        own, others = (seen.mean(0) - centre) / spread, (rows[of] - centre) / spread
        return self.shown.names[int(of[(F.normalize(others, dim=1) @ own).argmax()])]


def logits_of(classifier: Classifier, seen: Tensor) -> Tensor:
    """(N, K), on the processor."""
    with torch.no_grad():
        return classifier(seen).float().cpu()
