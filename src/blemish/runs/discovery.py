"""Defects of no known type, found in pictures and put in groups that are alike, for a person to name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from blemish.blocks.describing import Balance, Describing
from blemish.blocks.describing_in_words import DescribingInWords
from blemish.blocks.exemplars import CachedEncoder
from blemish.blocks.grouping import LARGEST, group_rows
from blemish.blocks.heads import quarters
from blemish.calibration.thresholds import Calibration
from blemish.classification.names import UNKNOWN, Names
from blemish.classification.regions import Inside, inside_region, inside_worst
from blemish.classification.seeing import see_regions
from blemish.classification.with_names import WithNames
from blemish.devices import beside
from blemish.errors import BadImage
from blemish.images import Inspected, Unreadable
from blemish.inspection import inspect
from blemish.notices import notice, silence
from blemish.progress import ShowProgress, no_progress
from blemish.recipes.detectors import bare_detector, detector, encoders_of
from blemish.recipes.naming import DEFAULT, classifier_of
from blemish.recipes.recipe import ENCODER, Place, Recipe
from blemish.runs.decision import Decided, decision
from blemish.types import Classifier


class Found(NamedTuple):
    """A defect of no known type."""

    picture: Path
    inside: Inside
    size: tuple[int, int]  # of the picture: height, width
    seen: Tensor  # (D,)


def discover(
    recipe: Recipe,
    pictures: Sequence[Path],
    *,
    encoder: Place = None,
    count: int | None = None,
    every: bool = False,
    batch_size: int = 8,
    watch: ShowProgress = no_progress,
    unreadable: list[Unreadable] | None = None,
) -> list[list[Found]]:
    """Groups of regions that are alike, the largest first; of `count` groups, or as many as there seem to be.

    Of a calibrated recipe these are the regions of pictures that it does not accept, of another the worst of each
    picture. Those of a known type are left out unless `every` one is wanted; by words alone no type is known.
    """
    found = list(_search(recipe, pictures, encoder, every, batch_size, watch, unreadable))
    if not found:
        return []
    if len(found) > LARGEST:
        notice("of %s defects the first %s are put in groups", len(found), LARGEST)
    found = found[:LARGEST]
    seer = encoders_of(recipe, encoder)[ENCODER]
    balance, rows = Balance(seer), torch.stack([each.seen for each in found])
    rows[:, : seer.width] = 0  # the embedding, which only classifiers that read words have of regions
    balance.learn(rows)
    groups = group_rows(balance(rows), count)
    return [[each for each, own in zip(found, groups, strict=True) if own == number] for number in sorted(set(groups))]


def _search(
    recipe: Recipe,
    pictures: Sequence[Path],
    encoder: Place,
    every: bool,
    batch_size: int,
    watch: ShowProgress,
    unreadable: list[Unreadable] | None,
) -> Iterator[Found]:
    looking = _looking(recipe, encoder)
    with silence():  # of rules, which decide nothing here
        decided = decision(recipe.calibration, looking)
    advance = watch("looking for defects", len(pictures))
    for result in inspect(looking, pictures, view=recipe.view, batch_size=batch_size):
        advance()
        if isinstance(result, Inspected):
            yield from _seen(result, _regions(decided(result), recipe.calibration, every=every), looking.classifier)
        elif unreadable is None:
            raise BadImage(result.reason)
        else:
            unreadable.append(result)


def _regions(said: Decided, calibration: Calibration | None, *, every: bool) -> list[Inside]:
    anomaly_map = said.result.anomaly_map
    if calibration is None or calibration.pixel is None:
        known = said.types and UNKNOWN not in said.types
        return [] if known and not every else [inside_worst(anomaly_map)]
    found = said.regions if said.verdict != "accept" else ()
    wanted = (each.region for each in found if every or each.type in (None, UNKNOWN))
    return [inside_region(anomaly_map, each) for each in wanted]


def _seen(result: Inspected, regions: Sequence[Inside], classifier: Classifier) -> Iterator[Found]:
    size = result.anomaly_map.shape[0], result.anomaly_map.shape[1]
    if regions:
        for each, row in zip(regions, see_regions(classifier, result.picture, result.places, regions), strict=True):
            yield Found(Path(result.source.id), each, size, row[0])


def _looking(recipe: Recipe, encoder: Place) -> WithNames:
    """The recipe's detector, which shows what is seen of each place; it names what it knows where it sees alike."""
    found = encoders_of(recipe, encoder)
    made = detector(recipe, found)
    inner = getattr(made, "detector", made)  # below what known defects add
    for each in (made, inner):
        if isinstance(each, WithNames) and isinstance(each.classifier, Describing | DescribingInWords):
            return each
    once = CachedEncoder(found[ENCODER], kept=quarters(found[ENCODER].depth))
    classifier = classifier_of(Names(DEFAULT, {}, ()), once)
    return beside(WithNames(bare_detector(recipe, {**found, ENCODER: once}), once, classifier), once)
