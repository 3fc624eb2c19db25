"""A run of `blemish inspect` before it starts: which detector looks at what, and the settings that identify it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from blemish.calibration.thresholds import Calibration
from blemish.images import WHOLE, Unreadable, View
from blemish.metrics.drift import Drift
from blemish.progress import ShowProgress
from blemish.recipes.recipe import Recipe
from blemish.runs.decision import Decide, decision
from blemish.types import ArrayDetector, Detector, Encoder


class ReadyDetector(NamedTuple):
    """The detector of a run."""

    detector: Detector | ArrayDetector
    suggested: Calibration | None = None  # the threshold that its good parts suggest
    view: View = WHOLE  # with what its good parts say of it


class MakeDetector(Protocol):
    """Makes the detector; good parts that cannot be read are added to the list."""

    def __call__(self, watch: ShowProgress, unreadable: list[Unreadable], *, suggest: bool) -> ReadyDetector:
        """suggest: whether a threshold is wanted, which takes longer."""


class InspectionRun(NamedTuple):
    """What is decided before the first picture."""

    settings: dict[str, Any]  # plain values: a run with others cannot be resumed
    view: View
    encoder: Encoder | None  # none where a graph holds it
    make: MakeDetector
    recipe: Recipe | None = None

    def decision(self, detector: Detector | ArrayDetector, suggested: Calibration | None) -> Decide:
        """What follows from a prediction, by the recipe's calibration or as good parts suggest."""
        calibration = self.recipe.calibration if self.recipe else None
        return decision(calibration, detector, suggested=suggested, scale=self.settings.get("scale"))

    def drift(self, false_alarm: float) -> Drift | None:
        """What watches the scores; only where one detector makes them all, and made those of the calibration."""
        if "shard" in self.settings or not self.recipe or not self.recipe.calibration or not may_drift(self.recipe):
            return None
        return Drift(self.recipe.calibration.good, false_alarm=false_alarm)


def may_drift(recipe: Recipe) -> bool:
    """Whether it knows which scores its own detector is to give."""
    return recipe.calibration is not None and recipe.calibration.scheme == "split"


def settings_of(
    method: str, arguments: Mapping[str, Any], encoder: str, precision: str, product: str, view: View
) -> dict[str, Any]:
    """What decides a run, as plain values; `encoder` is its name and the hash of its file."""
    return {
        "method": method,
        "arguments": dict(arguments),
        "encoder": encoder,
        "precision": precision,
        "product": product,
        "region": list(view.region) if view.region else None,
        "tile": view.tile,
        "overlap": view.overlap,
        "white": view.white,
    } | view.scales
