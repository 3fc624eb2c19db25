"""A run of `blemish inspect` before it starts: which detector looks at what, and the settings that identify it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

import torch

from blemish import catalog
from blemish.blocks.exemplars import CachedEncoder
from blemish.blocks.heads import quarters
from blemish.calibration.thresholds import Calibration
from blemish.classification.namer import Namer
from blemish.classification.names import DefectType
from blemish.classification.with_names import WithNames
from blemish.fitting import balance_scales, fit_detector, make_detector
from blemish.images import WHOLE, Unreadable, View
from blemish.metrics.drift import Drift
from blemish.progress import ShowProgress
from blemish.recipes import recipe as recipes
from blemish.recipes.naming import by_words, namer_of
from blemish.recipes.recipe import Recipe
from blemish.recipes.suggestion import fit_and_suggest
from blemish.recipes.types_taught import name_types
from blemish.recipes.update import Reading
from blemish.types import Detector, Encoder, Learner


class ReadyDetector(NamedTuple):
    """The detector of a run."""

    detector: Detector
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
    encoder: Encoder
    make: MakeDetector
    recipe: Recipe | None = None

    def drift(self, false_alarm: float) -> Drift | None:
        """What watches the scores; only where one detector makes them and made those of the calibration."""
        if not self.recipe or not self.recipe.calibration or not may_drift(self.recipe):
            return None
        return Drift(self.recipe.calibration.good, false_alarm=false_alarm)


def may_drift(recipe: Recipe) -> bool:
    """Whether it knows which scores its own detector is to give."""
    return recipe.calibration is not None and recipe.calibration.scheme == "split"


def by_method(
    method: str,
    encoder: Encoder,
    *,
    precision: str,
    product: str,
    good: Sequence[Path],
    pictures: Sequence[Path] = (),
    arguments: Mapping[str, Any],
    view: View,
    mask: str | None,
    batch_size: int,
    defects: Sequence[DefectType] = (),
) -> InspectionRun:
    """A method that learns from good parts first, if there are any, or else looks at the whole set if it scores one.

    `pictures` are those to be inspected; of `defects` words tell which one is found.
    """
    settings = _settings(method, arguments, encoder, precision, product, view) | _defects(defects)
    encoder, namer = (encoder, None) if not defects else beside_words(encoder, defects, product)
    compared = pictures if not good and catalog.card(method).scores == "set" else ()

    def make(watch: ShowProgress, unreadable: list[Unreadable], *, suggest: bool) -> ReadyDetector:
        seen = balance_scales(
            method, encoder, good, view, product=product, arguments=arguments, batch_size=batch_size, watch=watch
        )
        if good and suggest:
            detector = make_detector(method, encoder, product=product, good=True, arguments=arguments)
            reading = Reading(batch_size, watch, unreadable)
            suggested = fit_and_suggest(cast(Learner, detector), good, view=seen, reading=reading)
            return ReadyDetector(_named(detector, encoder, namer), suggested, seen)
        detector = fit_detector(
            method, encoder, product=product, good=good, pictures=compared, arguments=arguments, view=seen,
            batch_size=batch_size, watch=watch, unreadable=unreadable,
        )  # fmt: skip
        return ReadyDetector(_named(detector, encoder, namer), view=seen)

    settings |= {"normal": list(map(str, good)), "set": list(map(str, compared)), "mask": mask}
    return InspectionRun(settings, view, encoder, make)


def beside_words(encoder: Encoder, defects: Sequence[DefectType], product: str) -> tuple[CachedEncoder, Namer]:
    """An encoder that looks once for a detector and for words about types of defects; raises BadInput without text."""
    once = CachedEncoder(encoder, kept=quarters(encoder.depth))
    names, tensors = by_words(defects, once, product)
    return once, namer_of(names, tensors, once)


def _named(detector: Detector, encoder: Encoder, namer: Namer | None) -> Detector:
    return WithNames(detector, cast(CachedEncoder, encoder), namer.classifier, namer) if namer else detector


def _defects(types: Sequence[DefectType]) -> dict[str, Any]:
    """As settings of a run: nothing of one that names none."""
    return {"defects": [[each.name, *each.words, str(each.severity or "")] for each in types]} if types else {}


def by_recipe(
    recipe: Recipe,
    *,
    encoder: str | None = None,
    device: torch.device | None = None,
    scale: float | None = None,
    defects: Sequence[DefectType] = (),
) -> InspectionRun:
    """A frozen recipe; `encoder` says where its encoder lies if not where it was, `scale` millimetres a pixel.

    `defects` are named as `recipes.types_taught.name_types` does it.
    """
    found = recipes.encoders_of(recipe, encoder, device)
    seer, product = found[recipes.ENCODER], recipe.product
    settings = _settings(recipe.method, recipe.arguments, seer, recipe.precision, product, recipe.view)
    settings |= {"normal": [], "set": [], "mask": None, "recipe": recipe.hash, "scale": scale} | _defects(defects)
    used = name_types(recipe, defects, encoder=found) if defects else recipe

    def make(watch: ShowProgress, unreadable: list[Unreadable], *, suggest: bool) -> ReadyDetector:
        return ReadyDetector(recipes.detector(used, found), view=recipe.view)

    return InspectionRun(settings, recipe.view, seer, make, recipe)


def _settings(
    method: str, arguments: Mapping[str, Any], encoder: Encoder, precision: str, product: str, view: View
) -> dict[str, Any]:
    return {
        "method": method,
        "arguments": dict(arguments),
        "encoder": f"{encoder.name} {encoder.sha256}".strip(),
        "precision": precision,
        "product": product,
        "region": list(view.region) if view.region else None,
        "tile": view.tile,
        "overlap": view.overlap,
        "white": view.white,
    } | view.scales
