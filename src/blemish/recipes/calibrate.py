"""A recipe and pictures of parts whose state is known -> the recipe with thresholds.

split takes good parts that taught the recipe nothing, scored by its own detector. cross takes those that did teach it,
each of them scored as if it had been forgotten: it needs no further parts, and promises less.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from blemish import catalog
from blemish.calibration.thresholds import STRICTEST, Calibration, Goal, Scheme, calibrate_thresholds
from blemish.data.masks import check_fit, read_ground_truth
from blemish.data.truth import leave_out_masks, picture_stems
from blemish.errors import BadInput
from blemish.files import sha256_of
from blemish.images import find
from blemish.recipes.holdout import (
    PartImages,
    PartScores,
    draw_folds,
    parts_of,
    pictures,
    score_parts,
)
from blemish.recipes.reading import PLAIN, Reading
from blemish.recipes.recipe import Place, Recipe, stamp
from blemish.types import GOOD, ArrayDetector, Detector

ANY_TYPE = "defect"
"""The type of defects that lie in no folder of their own."""


class HoldoutScheme(NamedTuple):
    """How parts are held out."""

    scheme: Scheme | None = None  # None: the one that more of the parts can serve
    folds: int | None = None  # of cross; None: every part alone
    seed: int = 0  # what is in which fold
    every_picture: bool = False  # see `holdout.parts_of`


USUAL = HoldoutScheme()


class ScoredPart(NamedTuple):
    """A good part by its picture of the highest score, a defective one by that of the lowest: the graver error."""

    kind: str  # GOOD, or the defect's type
    score: float
    peak: float  # the highest value of the maps of its pictures
    area: float  # of the defect, in pixels; NaN where there is no mask
    pictures: PartImages


CROSS, AGAIN = ", or say --scheme cross", ", or train it again with some left out by --keep-back"


class HeldOutScores(NamedTuple):
    """The parts that count, and the pictures that do not."""

    scheme: Scheme
    parts: tuple[ScoredPart, ...]
    unused: tuple[Path, ...]  # what taught the recipe a defect; for split, or the recipe anything; for cross, nothing
    fold: int = 1  # parts left out together
    otherwise: str = ""  # what helps, beside other parts, where all of them taught the recipe


def calibrate(
    recipe: Recipe,
    good: Iterable[Path],
    *,
    defects: Mapping[str, Iterable[Path]] | None = None,
    masks: Mapping[Path, Path] | None = None,
    goal: Goal = STRICTEST,
    way: HoldoutScheme = USUAL,
    encoder: Place = None,
    reading: Reading = PLAIN,
) -> Recipe:
    """The recipe made from that one with thresholds by good parts, and by defects of each type if there are any.

    Raises BadInput for pictures that cannot be used so, and BadRecipe for another encoder than the recipe's.
    """
    kinds = {path: kind for kind, paths in (defects or {}).items() for path in paths}
    fine = dict.fromkeys(good, GOOD)
    if both := sorted(kinds.keys() & fine):
        raise BadInput(f"{both[0]} is given as good and as defective: leave it out of one")
    if not fine:
        raise BadInput("no good part is given to calibrate by: check the folder, and how the names of its files end")
    found = held_out_scores(recipe, encoder, kinds | fine, masks=masks, way=way, reading=reading)
    return with_calibration(recipe, calibration_of(found, goal))


def held_out_scores(
    recipe: Recipe,
    encoder: Place,
    kinds: Mapping[Path, str],
    *,
    masks: Mapping[Path, Path] | None = None,
    way: HoldoutScheme = USUAL,
    reading: Reading = PLAIN,
    graph: ArrayDetector | None = None,
) -> HeldOutScores:
    """Pictures and what they show, GOOD or the type of a defect, by a recipe's detector that has not learned them.

    graph: that of a deployed recipe, which scores instead, and of which nothing can be left out.
    Raises BadInput for a file that is shown as good and as defective, or that taught the recipe the other.
    """
    card = catalog.card(recipe.method)
    if card.scores == "online" and recipe.arguments.get("online", True):
        raise BadInput(
            f"{recipe.method} scores a part by the stream before it, so no threshold holds for later ones: train it "
            "with --set online=false, and all are scored alike"
        )
    check_fit(((mask,), path) for path, mask in (masks or {}).items())
    parts = parts_of(list(kinds), view=recipe.view, every_picture=way.every_picture, reading=reading)
    kinds_before = {each.sha256: each.kind for each in recipe.taught}
    taught = {path: kinds_before.get(sha256_of(path), "") for path in pictures(parts)}
    _refuse_contradictions(kinds, taught)
    new = [part for part in parts if not any(taught[path] for path in part)]
    learned = [part for part in parts if any(taught[path] == GOOD for path in part)]
    if graph and way.scheme == "cross":
        raise BadInput(f"{recipe.source} is deployed and forgets nothing: give parts that taught it nothing by split")
    forgets = not graph and (card.auxiliary or not card.trained)
    scheme = way.scheme or ("cross" if forgets and _good(learned, kinds) > _good(new, kinds) else "split")
    # For cross, a good part that the recipe did not learn has nothing in common with those that were left out.
    fresh = [path for path in pictures(new) if scheme == "split" or kinds[path] != GOOD]
    todo: list[tuple[Callable[[], Detector | ArrayDetector], list[Path]]] = [
        (partial(_scorer, recipe, encoder, graph), fresh)
    ]
    fold = 1
    if scheme == "cross":
        from blemish.recipes.leaving_out import leave_out  # here, since it needs torch

        folds, refit = draw_folds(len(learned), way.folds, way.seed), leave_out(recipe, encoder)
        fold = len(folds[0])
        for out in ([learned[number] for number in numbers] for numbers in folds):
            todo.append((partial(refit, out), [path for path in pictures(out) if taught[path] in ("", GOOD)]))
    found = _score_all(todo, recipe, reading)
    used = {path for _, paths in todo for path in paths}
    counted = tuple(each for part in parts for each in _scored_parts(part, kinds, found, masks or {}))
    unused = tuple(path for path in taught if path not in used)
    return HeldOutScores(scheme, counted, unused, fold, "" if graph else CROSS if forgets else AGAIN)


def calibration_of(found: HeldOutScores, goal: Goal = STRICTEST) -> Calibration:
    """Thresholds from them; raises BadInput when no good part is left, and as `calibrate_thresholds` does."""
    good = [part for part in found.parts if part.kind == GOOD]
    if not good:
        spent = f"those given taught the recipe: give others{found.otherwise}"
        why = spent if found.unused else "none of those given can be read"
        raise BadInput(f"no good part is left to calibrate by, {why}")
    types = sorted({part.kind for part in found.parts} - {GOOD})
    by_type = {name: [part for part in found.parts if part.kind == name] for name in types}
    return calibrate_thresholds(
        [part.score for part in good],
        scheme=found.scheme,
        defects={name: [part.score for part in parts] for name, parts in by_type.items()},
        sizes={name: [part.area for part in parts] for name, parts in by_type.items()},
        peaks=[part.peak for part in good],
        fold=found.fold,
        goal=goal,
    )


def with_calibration(recipe: Recipe, calibration: Calibration) -> Recipe:
    """The recipe made from that one which decides by these thresholds; no raw score changes."""
    return stamp(dataclasses.replace(recipe, calibration=calibration), recipe.hash)


def defects_in(folder: Path, *, masks: Path | None = None) -> dict[Path, str]:
    """Pictures and their type: the folder they lie in, below that one; masks are left out."""
    paths = leave_out_masks(folder, masks)
    types = {path: ([*path.relative_to(folder).parts[:-1], ANY_TYPE])[0] for path in paths}
    if GOOD in types.values():
        raise BadInput(f"{folder / GOOD} is no type of defect: give good parts by --good, and move that folder away")
    return types


def masks_in(masks: Path, pictures: Sequence[Path], folder: Path) -> dict[Path, Path]:
    """Masks of the pictures below `folder`: at the same place below `masks`, or of a name that only one picture has.

    NAME.png or NAME_mask.png; pictures without a mask are missing.
    """
    found = {mask.relative_to(masks).parent / stem: mask for mask in find([masks]) for stem in picture_stems(mask)}
    names = [path.stem for path in pictures]
    places = {
        path: (path.relative_to(folder).with_suffix(""), *([Path(path.stem)] if names.count(path.stem) == 1 else []))
        for path in pictures
    }
    return {path: next(found[at] for at in each if at in found) for path, each in places.items() if found.keys() & each}


def as_json(found: HeldOutScores) -> dict[str, Any]:
    """Plain values: the pictures of each part, and those that were not used."""
    parts = [
        {"type": part.kind, "score": part.score, "pictures": list(map(str, part.pictures))} for part in found.parts
    ]
    return {"parts": parts, "unused": list(map(str, found.unused))}


def _scorer(recipe: Recipe, encoder: Place, graph: ArrayDetector | None) -> Detector | ArrayDetector:
    if graph:
        return graph
    from blemish.recipes.detectors import detector  # here, since it needs torch

    return detector(recipe, encoder)


def _score_all(
    todo: Sequence[tuple[Callable[[], Detector | ArrayDetector], Sequence[Path]]], recipe: Recipe, reading: Reading
) -> dict[Path, PartScores]:
    advance = reading.watch("inspecting held-out parts", sum(len(paths) for _, paths in todo))
    found: dict[Path, PartScores] = {}
    for make, paths in todo:
        if paths:
            found |= score_parts(make(), paths, view=recipe.view, reading=reading, advance=advance)
    return found


def _good(parts: Sequence[PartImages], kinds: Mapping[Path, str]) -> int:
    return sum(any(kinds[path] == GOOD for path in part) for part in parts)


def _scored_parts(
    part: PartImages, kinds: Mapping[Path, str], found: Mapping[Path, PartScores], masks: Mapping[Path, Path]
) -> Iterator[ScoredPart]:
    """The good part and the defective one of a group: a part may have been photographed before it was damaged.

    A defect's type is that of its lowest score, so that types have no say in how many parts there are.
    """
    for good in (True, False):
        results = [found[path] for path in part if path in found and (kinds[path] == GOOD) is good]
        if not results:
            continue
        decisive = (max if good else min)(results, key=lambda each: each.score)
        mask = masks.get(decisive.picture)
        area = (
            math.nan if mask is None else float(read_ground_truth((mask,), decisive.picture, size=decisive.size).sum())
        )
        peak = max(each.peak for each in results)
        yield ScoredPart(kinds[decisive.picture], decisive.score, peak, area, tuple(each.picture for each in results))


def _refuse_contradictions(kinds: Mapping[Path, str], taught: Mapping[Path, str]) -> None:
    sums = {path: sha256_of(path) for path in taught}
    good = {sums[path]: path for path in taught if kinds[path] == GOOD}
    for path in taught:
        if kinds[path] != GOOD and sums[path] in good:
            raise BadInput(f"{path} is the same file as {good[sums[path]]}: it cannot be defective and good")
        if taught[path] and (taught[path] == GOOD) != (kinds[path] == GOOD):
            raise BadInput(f"{path} taught the recipe as {taught[path]}: it cannot be {kinds[path]} now, or forget it")
