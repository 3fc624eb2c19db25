"""Teaching a recipe types of defects, by words or by pictures of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from blemish import catalog
from blemish.blocks.exemplars import CachedEncoder
from blemish.blocks.heads import quarters
from blemish.classification.mirrored_places import MirroredPlaces, split_views
from blemish.classification.names import DefectType, Names, refuse_twins
from blemish.classification.regions import Inside, inside_mask, inside_worst
from blemish.classification.seeing import see_regions
from blemish.classification.with_names import WithNames
from blemish.data.masks import read_ground_truth
from blemish.devices import beside
from blemish.errors import BadInput
from blemish.images import Inspected
from blemish.inspection import inspect
from blemish.recipes import known_defects
from blemish.recipes.detectors import bare_detector, encoders_of
from blemish.recipes.naming import DEFAULT, by_examples, by_words, classifier_of, examples_in, without_names
from blemish.recipes.recipe import ENCODER, Place, Recipe, Taught, stamp
from blemish.types import Classifier, Cropper, Encoder

WORDS_AND_EXAMPLES = "prompt-images"
"""The classifier of types of which there were words first."""


class Shown(NamedTuple):
    """A picture that teaches a type."""

    path: Path
    taught: Taught
    mask: Path | None = None


def name_types(recipe: Recipe, types: Sequence[DefectType], *, product: str = "", encoder: Place = None) -> Recipe:
    """The recipe that names the defects it finds, by words alone until pictures teach it.

    Types that it knows already keep their examples and take the new words and severity. product: in words; "": as
    before, or the recipe's. Raises BadInput for an encoder that reads nothing, or for types of which it has examples
    and that are not among these.
    """
    refuse_twins([each.name for each in types])
    seer = encoders_of(recipe, encoder)[ENCODER]
    before = recipe.names.known if recipe.names else []
    examples = examples_in(recipe.tensors)
    if not examples or recipe.names is None:
        names, tensors = by_words(types, seer, product or product_of(recipe))
    else:
        told = {each.name: each for each in types}
        taught = {before[number] for _, number, _, _ in examples}
        if lost := sorted(taught - set(told)):
            raise BadInput(f"{recipe.source} was shown {', '.join(lost)}: list these as well, or forget their pictures")
        lacking = sorted(set(told) - taught)
        if lacking and "words" not in catalog.classifier_card(recipe.names.classifier).words:
            raise BadInput(
                f"{recipe.source} names by examples and has none of {', '.join(lacking)}: teach them by --defect, or "
                "leave them out"
            )
        names, tensors = _relearn(recipe.names, list(types), before, examples, seer)
    changed = dataclasses.replace(recipe, names=names, tensors=without_names(recipe.tensors) | tensors)
    return stamp(changed, recipe.hash)


def product_of(recipe: Recipe) -> str:
    """What its names call the part, or else the recipe itself."""
    said = recipe.names.arguments.get("product") if recipe.names else None
    return str(said or recipe.product)


def with_severities(recipe: Recipe, types: Sequence[DefectType]) -> Names:
    """The recipe's names with the severities of these types; raises BadInput for a type that it does not know."""
    if recipe.names is None:
        raise BadInput(f"{recipe.source} names no defects: give it names first")
    told = {each.name: each.severity for each in types}
    if unknown := sorted(set(told) - set(recipe.names.known)):
        raise BadInput(f"{recipe.source} does not know {', '.join(unknown)}: it knows {', '.join(recipe.names.known)}")
    known = (dataclasses.replace(each, severity=told.get(each.name, each.severity)) for each in recipe.names.types)
    return dataclasses.replace(recipe.names, types=tuple(known))


def teach_names(
    recipe: Recipe, found: Mapping[str, Encoder], shown: Sequence[Shown], *, batch_size: int = 8
) -> tuple[Names, dict[str, Tensor]]:
    """The recipe's names, and their tensors, with these examples as well.

    A recipe that named by words alone compares with examples as well from now on.
    """
    names = recipe.names or Names(DEFAULT, {}, ())
    if names.classifier == "words":
        names = dataclasses.replace(names, classifier=WORDS_AND_EXAMPLES)
    before, new = names.known, dict.fromkeys(each.taught.kind for each in shown)
    refuse_twins(list(dict.fromkeys([*before, *new])))
    types = [*names.types, *(DefectType(name) for name in new if name not in before)]
    names = dataclasses.replace(names, types=tuple(types))
    seen = _see(recipe, names, found, shown, batch_size)
    numbers = {each.name: number for number, each in enumerate(types)}
    rows = [
        (known_defects.number(each.taught.id), numbers[each.taught.kind], each.taught.name, row)
        for each, row in zip(shown, seen, strict=True)
        if row is not None
    ]
    return by_examples(names, found[ENCODER], [*examples_in(recipe.tensors), *rows])


def forget_names(
    recipe: Recipe, tensors: Mapping[str, Tensor], pictures: set[int], encoder: Encoder
) -> tuple[Recipe, dict[str, Tensor]]:
    """The recipe and its tensors without these examples; types that words do not tell of go with their last one."""
    assert recipe.names
    examples = [each for each in examples_in(tensors) if each[0] not in pictures]
    taught = {number for _, number, _, _ in examples}
    read = recipe.names.classifier != DEFAULT and "text" in encoder.can
    types = [each for number, each in enumerate(recipe.names.types) if number in taught or (read and each.words)]
    if not types:
        return dataclasses.replace(recipe, names=None), without_names(tensors)
    names, found = (
        _relearn(recipe.names, types, recipe.names.known, examples, encoder)
        if examples
        else by_words(types, encoder, product_of(recipe))
    )
    return dataclasses.replace(recipe, names=names), without_names(tensors) | found


def _relearn(
    names: Names,
    types: list[DefectType],
    before: Sequence[str],
    examples: Sequence[tuple[int, int, str, Tensor]],
    encoder: Encoder,
) -> tuple[Names, dict[str, Tensor]]:
    """Names of these types, by examples whose types are numbered as before."""
    numbers = {each.name: number for number, each in enumerate(types)}
    kept = [(picture, numbers[before[number]], name, seen) for picture, number, name, seen in examples]
    return by_examples(dataclasses.replace(names, types=tuple(types)), encoder, kept)


def _see(
    recipe: Recipe, names: Names, found: Mapping[str, Encoder], shown: Sequence[Shown], batch_size: int
) -> list[Tensor | None]:
    """What the classifier sees of the defect in each picture, (V, D), where the mask or else the map says it is.

    Mirrored as well, which names new defects better though these are seen as they are; but for a `Cropper`.
    """
    once = CachedEncoder(found[ENCODER], kept=quarters(found[ENCODER].depth))
    classifier = classifier_of(names, once)
    seer = classifier if isinstance(classifier, Cropper) else cast(Classifier, MirroredPlaces(classifier))
    looking = beside(WithNames(bare_detector(recipe, {**found, ENCODER: once}), once, seer), once)
    results = inspect(looking, [each.path for each in shown], view=recipe.view, batch_size=batch_size)
    return [
        _see_defect(classifier, result, each) if isinstance(result, Inspected) else None
        for each, result in zip(shown, results, strict=True)
    ]


def _see_defect(classifier: Classifier, result: Inspected, shown: Shown) -> Tensor:
    views = [result.places] if isinstance(classifier, Cropper) else split_views(result.places)
    inside = [_inside(result, shown)]
    return torch.cat([see_regions(classifier, result.picture, view, inside)[0] for view in views])


def _inside(result: Inspected, shown: Shown) -> Inside:
    if shown.mask is None:
        return inside_worst(result.anomaly_map)
    height, width = result.anomaly_map.shape
    mask = read_ground_truth((shown.mask,), shown.path, size=(height, width))
    return inside_mask(mask) if np.any(mask) else inside_worst(result.anomaly_map)
