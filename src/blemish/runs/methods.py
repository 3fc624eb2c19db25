"""Runs of `blemish inspect` by what needs torch: a method that learns first, or a frozen recipe with its encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch

from blemish import catalog
from blemish.blocks.exemplars import CachedEncoder
from blemish.blocks.heads import quarters
from blemish.classification.namer import Namer
from blemish.classification.names import DefectType
from blemish.classification.with_names import WithNames
from blemish.fitting import balance_scales, fit_detector, make_detector
from blemish.images import Unreadable, View
from blemish.progress import ShowProgress
from blemish.recipes import detectors
from blemish.recipes import recipe as recipes
from blemish.recipes.naming import by_words, namer_of
from blemish.recipes.reading import Reading
from blemish.recipes.recipe import Recipe
from blemish.recipes.suggestion import fit_and_suggest
from blemish.recipes.types_taught import name_types
from blemish.runs.plan import InspectionRun, ReadyDetector, settings_of
from blemish.types import Detector, Encoder, Learner


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
    scale: float | None = None,
    defects: Sequence[DefectType] = (),
) -> InspectionRun:
    """A method that learns from good parts first, if there are any, or else looks at the whole set if it scores one.

    `pictures` are those to be inspected; of `defects` words tell which one is found. `scale` is millimetres a pixel.
    """
    settings = settings_of(method, arguments, _name(encoder), precision, product, view) | _defects(defects)
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

    settings |= {"normal": list(map(str, good)), "set": list(map(str, compared)), "mask": mask, "scale": scale}
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
    found = detectors.encoders_of(recipe, encoder, device)
    seer, product = found[recipes.ENCODER], recipe.product
    settings = settings_of(recipe.method, recipe.arguments, _name(seer), recipe.precision, product, recipe.view)
    settings |= {"normal": [], "set": [], "mask": None, "recipe": recipe.hash, "scale": scale} | _defects(defects)
    used = name_types(recipe, defects, encoder=found) if defects else recipe

    def make(watch: ShowProgress, unreadable: list[Unreadable], *, suggest: bool) -> ReadyDetector:
        return ReadyDetector(detectors.detector(used, found), view=recipe.view)

    return InspectionRun(settings, recipe.view, seer, make, recipe)


def _name(encoder: Encoder) -> str:
    return f"{encoder.name} {encoder.sha256}".strip()
