"""A recipe and pictures of parts whose state is known -> the recipe with verdicts."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from blemish import lessons, recipe, showing, shown
from blemish.blocks.exemplars import Once
from blemish.calibration import STRICTEST, Calibration, Goal, Scheme, calibrated, changed
from blemish.data.masks import read_mask
from blemish.errors import BadInput
from blemish.holding_out import HeldOut, Part, Refit, cross, digest, parts_of, pictures, scored, split
from blemish.lessons import Merging, Pupil
from blemish.recipe import Recipe
from blemish.teaching import PLAIN, Reading
from blemish.types import GOOD, Detector, Encoder


class Parts(NamedTuple):
    """Pictures whose state is known."""

    good: Sequence[Path]
    defects: Mapping[str, Sequence[Path]] = {}  # by type
    masks: Mapping[Path, Path] = {}  # of defects, where there are any


class Outcome(NamedTuple):
    """A calibrated recipe, and what became of the pictures."""

    recipe: Recipe
    held_out: HeldOut
    repeated: tuple[Part, ...]  # several pictures that count as one part, good or defective
    left_out: tuple[Path, ...]  # pictures that could not serve: they taught the recipe, or for cross, they did not


def calibrate(
    made: Recipe,
    parts: Parts,
    *,
    scheme: Scheme | None = None,
    folds: int | None = None,
    seed: int = 0,
    goal: Goal = STRICTEST,
    distinct: bool = False,
    encoder: str | Encoder | None = None,
    reading: Reading = PLAIN,
) -> Outcome:
    """The recipe with a calibration; everything else it holds is as it was.

    split takes good parts that did not teach the recipe; cross those that did, each of them scored by a recipe that has
    forgotten it and the others of its fold, one at a time if `folds` is left out. Without a scheme it is the one that
    more of the parts can serve. `distinct`: every picture is known to show a part of its own.

    A defect that taught the recipe cannot tell how many escape, and is left out. Of several pictures of one part the
    highest score counts if it is good, the lowest if it is defective.
    """
    found = recipe.encoder_of(made, encoder)
    groups = _grouped(parts.good, made, distinct, reading)
    held, unfit = _held_out(made, groups, found, scheme, folds, seed, reading)
    if not held.scored:
        raise BadInput(f"no good part is left to calibrate {made.source} with: show some that {_wanted(held.scheme)}")
    taught = {each.sha256 for each in made.taught}
    defective = {kind: _grouped(paths, made, distinct, reading) for kind, paths in parts.defects.items()}
    told = {kind: _sorted_out(each, taught) for kind, each in defective.items()}
    fresh = {kind: new for kind, (_, new) in told.items()}
    scores, sizes = _of_defects(made, found, fresh, parts.masks, reading)
    calibration = calibrated(
        [each.score for each in held.scored],
        scheme=held.scheme,
        defects=scores,
        sizes=sizes,
        peaks=[each.peak for each in held.scored],
        fold=held.fold,
        goal=goal,
    )
    spent = [part for known, _ in told.values() for part in known]
    several = [part for each in (groups, *defective.values()) for part in each if len(part) > 1]
    return Outcome(_with(made, calibration), held, tuple(several), tuple(pictures([*unfit, *spent])))


def recalibrate(made: Recipe, goal: Goal) -> Recipe:
    """The recipe with thresholds for another goal, from the scores that it keeps; nothing is inspected again."""
    if made.calibration is None:
        raise BadInput(f"{made.source} is not calibrated: show it good parts first")
    return _with(made, changed(made.calibration, goal))


def _with(made: Recipe, calibration: Calibration) -> Recipe:
    return recipe.stamped(dataclasses.replace(made, calibration=calibration), made.hash)


def _grouped(paths: Sequence[Path], made: Recipe, distinct: bool, reading: Reading) -> list[Part]:
    return [(path,) for path in paths] if distinct else parts_of(paths, view=made.view, reading=reading)


def _held_out(
    made: Recipe,
    groups: Sequence[Part],
    encoder: Encoder,
    scheme: Scheme | None,
    folds: int | None,
    seed: int,
    reading: Reading,
) -> tuple[HeldOut, list[Part]]:
    """What could be held out, and the parts that could not."""
    kinds = {each.sha256: each.kind for each in made.taught}
    if odd := [path for path in pictures(groups) if kinds.get(digest(path), GOOD) != GOOD]:
        raise BadInput(f"{odd[0]} taught {made.source} a defect: it is no good part")
    known, new = _sorted_out(groups, kinds)
    if scheme == "split" or (scheme is None and len(new) >= len(known)):
        return split(recipe.detector(made, encoder), new, view=made.view, reading=reading), known
    refit = _forgetting(made, encoder)
    return cross(refit, known, folds=folds, seed=seed, view=made.view, reading=reading), new


def _sorted_out(parts: Sequence[Part], taught: Collection[str]) -> tuple[list[Part], list[Part]]:
    """Parts of which a picture taught the recipe, and the others."""
    knows = [any(digest(path) in taught for path in part) for part in parts]
    pairs = list(zip(parts, knows, strict=True))
    return [part for part, known in pairs if known], [part for part, known in pairs if not known]


def _forgetting(made: Recipe, encoder: Encoder) -> Refit:
    """Parts to leave out -> the recipe's detector as if they had been forgotten, see `teaching.forget`."""
    once = Once(encoder) if shown.ROWS in made.tensors else None
    pupil = recipe.bare(made, once or encoder)
    if not isinstance(pupil, Pupil):
        raise BadInput(f"{made.method} learns all its parts at once: calibrate with others, by --scheme split")
    with recipe.fitting(made):
        everything = lessons.known(pupil, made.tensors)
    kinds = {shown.number(each.id): each.kind for each in made.taught}

    def refit(out: Sequence[Part]) -> Detector:
        gone = {shown.number(digest(path)[:12]) for path in pictures(out)} & set(kinds)
        if isinstance(pupil, Merging) and not gone <= everything.pictures:
            raise BadInput(f"what taught {made.source} was merged to save memory: calibrate with other parts, by split")
        lessons.teach(pupil, lessons.without(everything, gone).groups)
        if once is None:
            return pupil
        return shown.assembled(pupil, once, showing.with_margin(showing.without(made.tensors, gone)), kinds)

    return refit


def _of_defects(
    made: Recipe,
    encoder: Encoder,
    parts: Mapping[str, Sequence[Part]],
    masks: Mapping[Path, Path],
    reading: Reading,
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Scores and areas in pixels of the defects of each type, NaN without a mask."""
    detector = recipe.detector(made, encoder)
    advance = reading.watch("scoring defective parts", sum(len(pictures(each)) for each in parts.values()))
    scores: dict[str, list[float]] = {}
    sizes: dict[str, list[float]] = {}
    for kind, each in parts.items():
        found = scored(detector, each, view=made.view, lowest=True, reading=reading, advance=advance)
        kept = [one for one in found if one is not None]
        if kept:
            scores[kind] = [one.score for one in kept]
            sizes[kind] = [_area(masks[one.picture]) if one.picture in masks else math.nan for one in kept]
    return scores, sizes


def _area(mask: Path) -> float:
    return float(read_mask(mask).sum())


def _wanted(scheme: Scheme) -> str:
    return "did not teach it" if scheme == "split" else "taught it"
