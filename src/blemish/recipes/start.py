"""What a training begins with: random weights, or those of a recipe that was trained before."""

from __future__ import annotations

import json
from collections.abc import Mapping
from inspect import signature
from typing import Any

from blemish import catalog, encoders
from blemish.blocks.rotation import views_of
from blemish.blocks.rows import memories
from blemish.errors import BadInput
from blemish.notices import notice
from blemish.recipes import known_defects
from blemish.recipes.detectors import bare_detector, encoders_of
from blemish.recipes.recipe import ENCODER, Recipe, Taught
from blemish.recipes.update import change_words
from blemish.types import Detector, Encoder


def start_arguments(method: str, start: Recipe | None, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Those of the recipe to start from; raises BadInput for one of another method, or with others than are given."""
    if start is None:
        return {}
    if start.method != method:
        raise BadInput(f"{start.source} is a recipe of {start.method}, not of {method}: train that, or without --from")
    if start.view.region or start.view.mask is not None or start.view.tile:
        raise BadInput(f"{start.source} inspects a region or tiles, and training sees whole pictures: leave out --from")
    odd = []
    for name, parameter in signature(catalog.method(method)).parameters.items():
        if name not in given or name in _free(method) or name in start.encoders:
            continue
        before, now = (json.dumps(each) for each in (start.arguments.get(name, parameter.default), given[name]))
        odd += [f"{name} {before}, not {now}"] if before != now else []
    if odd:
        raise BadInput(f"{start.source} was trained with {'; '.join(odd)}: say the same, or leave out --from")
    return start.arguments


def _free(method: str) -> set[str]:
    """Arguments that a training may have of its own: words, and what the pictures decide."""
    return {*catalog.card(method).words, "supervised", "seed"}


def begin(
    method: str, encoder: str | Encoder | None, arguments: Mapping[str, Any], start: Recipe | None = None
) -> Detector:
    """The detector before the first step; that of a recipe remembers no parts, and reads the words of `arguments`.

    encoder: None is the recipe's, or the default one; raises BadRecipe for another than the recipe's.
    """
    if start is None:
        return catalog.detector(method, encoders.load(encoder or encoders.DEFAULT), arguments)
    places = {name: arguments[name] for name in start.encoders if name in arguments}
    found = encoders_of(start, places | ({ENCODER: encoder} if encoder else {}))
    own = {name: arguments[name] for name in sorted(_free(method) - {"seed"}) if name in arguments}
    new = {name: value for name, value in own.items() if start.arguments.get(name) != value}
    made = bare_detector(change_words(start, new, found) if new else start, found)
    for memory in memories(made):
        memory.forget()
    for views in views_of(made):
        views.count_images(0)
    if len(start.taught) > len(trainers_of(start)):
        notice("what %s was taught or shown beside its training is left out: teach the new recipe", start.source)
    return made


def trainers_of(recipe: Recipe) -> list[Taught]:
    """The pictures that its weights were trained on, as far as it names each: not what it was taught or shown later."""
    if catalog.card(recipe.method).auxiliary:
        return []
    shown = set(recipe.tensors[known_defects.PICTURES].tolist()) if known_defects.PICTURES in recipe.tensors else set()
    return [each for each in recipe.taught if known_defects.number(each.id) not in shown]
