"""A classifier that has learned names regions and what was seen of defects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from blemish.calibration.prediction_sets import Sureness
from blemish.classification.calls import Named, Shown, call_defects, say_words
from blemish.classification.names import Severity
from blemish.classification.regions import Inside
from blemish.classification.seeing import see_regions
from blemish.images import Places
from blemish.types import Classifier, Reader


@dataclass(frozen=True, slots=True)
class Namer:
    """A classifier that has learned, how sure it is, and what follows from a type."""

    classifier: Classifier
    sureness: Sureness = field(default_factory=Sureness)
    severities: dict[str, Severity] = field(default_factory=dict)
    shown: Shown | None = None

    def name_regions(self, picture: NDArray[Any], places: Sequence[Places], regions: Sequence[Inside]) -> list[Named]:
        """As `calls.RegionNamer` says."""
        return self.name(see_regions(self.classifier, picture, places, regions))

    def name(self, seen: Tensor) -> list[Named]:
        """Of defects (N, V, D), see `Classifier`."""
        return self.call(logits_of(self.classifier, seen), seen)

    def call(self, logits: Tensor, seen: Tensor) -> list[Named]:
        """As `name`, by logits (N, K) that are known already."""
        named = call_defects(
            logits.numpy(), seen.float().cpu().numpy(), self.classifier.types, self.sureness, self.shown
        )
        if not isinstance(self.classifier, Reader):
            return named
        with torch.no_grad():
            chosen = self.classifier.choose_words(seen, logits.to(seen.device).argmax(1))
        return say_words(named, self.classifier.sayings, chosen.tolist())


def untaught(classifier: Classifier) -> Namer:
    """By words alone: no example says how sure it is."""
    return Namer(classifier, Sureness(middle=0.0 if classifier.several else None))


def logits_of(classifier: Classifier, seen: Tensor) -> Tensor:
    """(N, K), on the processor."""
    with torch.no_grad():
        return classifier(seen).float().cpu()
