"""Scores of parts that taught a recipe nothing, by its own detector: what `calibration` derives thresholds from.

Bounds hold for independent parts, so pictures that show one part count once, by the highest of their scores:
`blemish.images.likeness` finds them, see there. It errs towards too few parts, which weakens a promise and breaks none;
between two pictures alone it joins but near copies, since how alike different parts are cannot be seen there.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from hashlib import file_digest
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from blemish.calibration import STRICTEST, Calibration, Goal, calibrated
from blemish.data.masks import read_mask
from blemish.errors import BadInput
from blemish.images import find, visible
from blemish.images.likeness import fingerprint, same_parts
from blemish.inspection import Inspected, Unreadable, View, inspect
from blemish.recipe import Recipe, stamped
from blemish.teaching import PLAIN, Reading
from blemish.types import GOOD, Detector

ANY_TYPE = "defect"
"""The type of defects that lie in no folder of their own."""


class Part(NamedTuple):
    """One part, by the picture of it that scored highest."""

    kind: str  # GOOD, or the defect's type
    score: float
    peak: float  # the highest value of the map
    area: float  # of the defect, in pixels; NaN where there is no mask
    pictures: tuple[Path, ...]  # all that show it


class HeldOut(NamedTuple):
    """The parts that count, and the pictures that do not since they, or others of their part, taught the recipe."""

    parts: list[Part]
    taught: list[Path]


class _Seen(NamedTuple):
    path: Path
    kind: str
    sha256: str
    score: float
    peak: float
    area: float
    fingerprint: Tensor


def held_out(
    recipe: Recipe,
    detector: Detector,
    kinds: Mapping[Path, str],
    *,
    masks: Mapping[Path, Path] | None = None,
    every_picture: bool = False,
    reading: Reading = PLAIN,
) -> HeldOut:
    """Pictures and what they show, GOOD or the type of defect, through the recipe's own detector.

    `every_picture`: each counts as a part of its own but for files that are equal byte for byte. Raises BadInput for a
    file that is shown as good and as defective.
    """
    advance = reading.watch("inspecting held-out parts", len(kinds))
    seen: list[_Seen] = []
    for result in inspect(detector, list(kinds), view=recipe.view, batch_size=reading.batch_size):
        advance()
        if isinstance(result, Inspected):
            seen.append(_seen(result, kinds[result.path], recipe.view, (masks or {}).get(result.path)))
        elif reading.unreadable is None:
            raise BadInput(result.reason)
        else:
            reading.unreadable.append(Unreadable(result.path, result.reason))
    _refuse_both(seen)
    groups = [[seen[row] for row in rows] for rows in _groups(seen, every_picture=every_picture)]
    known = {each.sha256 for each in recipe.taught}
    new = [known.isdisjoint(each.sha256 for each in group) for group in groups]
    parts = [part for group, held in zip(groups, new, strict=True) if held for part in _parts(group)]
    return HeldOut(parts, [each.path for group, held in zip(groups, new, strict=True) if not held for each in group])


def calibration_of(found: HeldOut, goal: Goal = STRICTEST) -> Calibration:
    """Thresholds from them; raises BadInput when no good part is left, and as `calibrated` does."""
    good = [part for part in found.parts if part.kind == GOOD]
    if not good:
        raise BadInput(
            "no good part is left to calibrate by, "
            + ("those given taught the recipe: give others" if found.taught else "none of those given can be read")
        )
    types = sorted({part.kind for part in found.parts} - {GOOD})
    by_type = {name: [part for part in found.parts if part.kind == name] for name in types}
    return calibrated(
        [part.score for part in good],
        scheme="split",
        defects={name: [part.score for part in parts] for name, parts in by_type.items()},
        sizes={name: [part.area for part in parts] for name, parts in by_type.items()},
        peaks=[part.peak for part in good],
        goal=goal,
    )


def with_calibration(recipe: Recipe, calibration: Calibration) -> Recipe:
    """The recipe made from that one which decides by these thresholds; no raw score changes."""
    return stamped(dataclasses.replace(recipe, calibration=calibration), recipe.hash)


def defects_in(folder: Path, *, masks: Path | None = None) -> dict[Path, str]:
    """Pictures and their type: the folder they lie in, below that one; pictures among the masks are left out."""
    inside = masks.resolve() if masks else None
    paths = [path for path in find([folder]) if inside not in path.resolve().parents]
    types = {path: ([*path.relative_to(folder).parts[:-1], ANY_TYPE])[0] for path in paths}
    if GOOD in types.values():
        raise BadInput(f"{folder / GOOD} is no type of defect: give good parts by --good, and move that folder away")
    return types


def masks_in(masks: Path, pictures: Sequence[Path], folder: Path) -> dict[Path, Path]:
    """Masks of the pictures below `folder`: at the same place below `masks`, or of a name that only one picture has.

    NAME.png or NAME_mask.png; pictures without a mask are missing.
    """
    found = {mask.relative_to(masks).parent / mask.stem.removesuffix("_mask"): mask for mask in find([masks])}
    names = [path.stem for path in pictures]
    places = {
        path: (path.relative_to(folder).with_suffix(""), *([Path(path.stem)] if names.count(path.stem) == 1 else []))
        for path in pictures
    }
    return {path: next(found[at] for at in each if at in found) for path, each in places.items() if found.keys() & each}


def _seen(result: Inspected, kind: str, view: View, mask: Path | None) -> _Seen:
    with result.path.open("rb") as file:
        sha256 = file_digest(file, "sha256").hexdigest()
    part = visible(result.path, result.picture, region=view.region, mask=view.mask)
    values = result.anomaly_map[~result.anomaly_map.isnan()]
    area = math.nan if mask is None else float(read_mask(mask, size=_size(result.picture)).sum())
    return _Seen(result.path, kind, sha256, result.score, float(values.max()), area, fingerprint(part))


def _size(picture: Tensor) -> tuple[int, int]:
    return picture.shape[-2], picture.shape[-1]


def _groups(seen: Sequence[_Seen], *, every_picture: bool) -> list[list[int]]:
    """Rows of the pictures of each part."""
    digests = [each.sha256 for each in seen]
    # Pictures without structure are like none, not even themselves.
    prints = [torch.zeros_like(each.fingerprint) if every_picture else each.fingerprint for each in seen]
    return same_parts(prints, digests)


def _parts(group: Sequence[_Seen]) -> Iterator[Part]:
    """The good part and the defective one of a group: a part may have been photographed before it was damaged.

    A defect's type is that of its highest score, so that types have no say in how many parts there are.
    """
    for pictures in ([e for e in group if e.kind == GOOD], [e for e in group if e.kind != GOOD]):
        if pictures:
            highest = max(pictures, key=lambda each: each.score)
            peak = max(each.peak for each in pictures)
            yield Part(highest.kind, highest.score, peak, highest.area, tuple(each.path for each in pictures))


def _refuse_both(seen: Sequence[_Seen]) -> None:
    good = {each.sha256: each.path for each in seen if each.kind == GOOD}
    for each in seen:
        if each.kind != GOOD and each.sha256 in good:
            raise BadInput(f"{each.path} is the same file as {good[each.sha256]}: it cannot be defective and good")


def as_json(found: HeldOut) -> dict[str, Any]:
    """Plain values: the pictures of each part, and those that were not used."""
    parts = [
        {"type": part.kind, "score": part.score, "pictures": list(map(str, part.pictures))} for part in found.parts
    ]
    return {"parts": parts, "taught": list(map(str, found.taught))}
