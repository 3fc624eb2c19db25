"""Scores of good parts by detectors that have not seen them: what a calibration is made from.

The bounds hold for independent parts, so pictures that show the same part count as one and are never in different
folds, see `images.likeness`. That errs towards too few parts, which weakens a promise and breaks none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import file_digest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from blemish import encoders
from blemish.calibration import Scheme
from blemish.errors import BadImage, BadInput
from blemish.images import decode, read, visible
from blemish.images.likeness import fingerprint, same_parts
from blemish.inspection import WHOLE, Unreadable, View, inspect
from blemish.learning import ready
from blemish.teaching import PLAIN, Reading
from blemish.types import Detector, Encoder

Part = tuple[Path, ...]
"""The pictures that show one and the same part."""

Refit = Callable[[Sequence[Part]], Detector]
"""The parts to leave out -> a detector that has learned the others."""


class Scored(NamedTuple):
    """One picture's result."""

    picture: Path
    score: float
    peak: float  # the highest value of its map
    size: tuple[int, int]  # height and width


class HeldOut(NamedTuple):
    """What `calibration.calibrated` is given, and where it comes from."""

    scheme: Scheme
    scored: tuple[Scored, ...]  # one a part that was held out: the picture with the highest score
    parts: tuple[Part, ...]  # the same ones
    learned: tuple[Part, ...]  # what the detector has learned that is calibrated
    fold: int = 1  # parts left out together


def parts_of(
    paths: Sequence[Path], *, view: View = WHOLE, every_picture: bool = False, reading: Reading = PLAIN
) -> list[Part]:
    """The parts that the pictures show, in the order of their first; what cannot be read is left out.

    They are told apart by what is inspected of them. `every_picture`: each counts as a part of its own, but for files
    that are equal byte for byte.
    """

    def seen(path: Path) -> tuple[Tensor, str]:
        part = visible(path, read(path, white=view.white), region=view.region, mask=view.mask)
        found = fingerprint(part)
        # Pictures without structure are like none, not even themselves.
        return torch.zeros_like(found) if every_picture else found, digest(path)

    advance = reading.watch("comparing pictures", len(paths))
    kept, prints, digests = list[Path](), list[Tensor](), list[str]()
    for path, found in decode(paths, seen):
        advance()
        if isinstance(found, BadImage):
            _refused(Unreadable(path, str(found)), reading)
            continue
        kept.append(path)
        prints.append(found[0])
        digests.append(found[1])
    return [tuple(kept[number] for number in part) for part in same_parts(prints, digests)]


def digest(path: Path) -> str:
    """sha256 of the file's bytes, 64 hex digits."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def scored(
    detector: Detector,
    paths: Iterable[Path],
    *,
    view: View = WHOLE,
    reading: Reading = PLAIN,
    advance: Callable[[], None] | None = None,
) -> dict[Path, Scored]:
    """Each picture's result; those that cannot be read have none."""
    found: dict[Path, Scored] = {}
    for result in inspect(detector, paths, view=view, batch_size=reading.batch_size):
        if advance:
            advance()
        if isinstance(result, Unreadable):
            _refused(result, reading)
            continue
        values = result.anomaly_map[~result.anomaly_map.isnan()]
        height, width = result.anomaly_map.shape
        found[result.path] = Scored(result.path, result.score, float(values.max()), (height, width))
    return found


def highest(part: Part, results: Mapping[Path, Scored]) -> Scored | None:
    """That of the part's picture with the highest score; None where none of them could be read."""
    return max((results[path] for path in part if path in results), key=lambda each: each.score, default=None)


def held_out(
    method: str,
    encoder: str | Encoder,
    good: Sequence[Path],
    *,
    scheme: Scheme = "cross",
    folds: int | None = None,
    learn: float = 0.5,
    seed: int = 0,
    product: str = "object",
    arguments: Mapping[str, Any] | None = None,
    view: View = WHOLE,
    reading: Reading = PLAIN,
) -> HeldOut:
    """Scores of any method's good parts, by its name.

    cross: every part is scored by a detector that learned all folds but its own, and the detector that learns all of
    them is what is calibrated; `folds` as in `cross`. split: a share `learn` of the parts, drawn by the seed, is
    learned, and the others are scored; 0 for a method that needs none.
    """
    found = encoders.load(encoder)
    parts = parts_of(good, view=view, reading=reading)

    def fitted(learned: Sequence[Part], watched: Reading) -> Detector:
        return ready(
            method,
            found,
            product=product,
            good=pictures(learned),
            arguments=arguments,
            view=view,
            batch_size=watched.batch_size,
            watch=watched.watch,
        )

    if scheme == "cross":
        quiet = Reading(reading.batch_size)
        return cross(
            lambda out: fitted(without(parts, out), quiet), parts, folds=folds, seed=seed, view=view, reading=reading
        )
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(parts)).tolist()
    count = round(learn * len(parts))
    if not 0 <= learn < 1 or count == len(parts):
        raise BadInput(f"learn={learn} leaves none of {len(parts)} parts to calibrate with: give more, or learn less")
    learned, others = ([parts[number] for number in sorted(half)] for half in (order[:count], order[count:]))
    return split(fitted(learned, reading), others, learned=learned, view=view, reading=reading)


def split(
    detector: Detector,
    parts: Sequence[Part],
    *,
    learned: Sequence[Part] = (),
    view: View = WHOLE,
    reading: Reading = PLAIN,
) -> HeldOut:
    """Scores of parts that the detector has not learned, by the detector itself."""
    advance = reading.watch("inspecting held-out parts", len(pictures(parts)))
    found = scored(detector, pictures(parts), view=view, reading=reading, advance=advance)
    return _held_out("split", found, parts, learned, 1)


def cross(
    refit: Refit,
    parts: Sequence[Part],
    *,
    folds: int | None = None,
    seed: int = 0,
    view: View = WHOLE,
    reading: Reading = PLAIN,
) -> HeldOut:
    """Scores of parts by detectors that did not learn them, see `drawn_folds`."""
    left_out = [[parts[number] for number in fold] for fold in drawn_folds(len(parts), folds, seed)]
    held = [part for part in parts if any(part in out for out in left_out)]
    advance = reading.watch("inspecting parts left out", len(pictures(held)))
    found: dict[Path, Scored] = {}
    for out in left_out:
        found |= scored(refit(out), pictures(out), view=view, reading=reading, advance=advance)
    return _held_out("cross", found, held, parts, len(left_out[0]))


def drawn_folds(count: int, folds: int | None, seed: int) -> list[list[int]]:
    """Numbers of the parts in each of so many folds of one size, or of one part each if left out.

    Parts that do not fill a fold, drawn by the seed, are in none: they are learned every time and not scored.
    """
    number = count if folds is None else folds
    if not 2 <= number <= count:
        raise BadInput(f"{count} parts cannot be left out in {number} folds: give at least 2, and no more than parts")
    if folds is None:
        return [[part] for part in range(count)]
    generator, size = np.random.default_rng(seed), count // number
    order = generator.permutation(count).tolist()
    return [sorted(order[start : start + size]) for start in range(0, number * size, size)]


def pictures(parts: Iterable[Part]) -> list[Path]:
    """All pictures of the parts."""
    return [path for part in parts for path in part]


def without(parts: Iterable[Part], out: Iterable[Part]) -> list[Part]:
    """The parts but for those that are left out."""
    gone = set(out)
    return [part for part in parts if part not in gone]


def _held_out(
    scheme: Scheme, found: Mapping[Path, Scored], parts: Sequence[Part], learned: Sequence[Part], fold: int
) -> HeldOut:
    pairs = [(highest(part, found), part) for part in parts]
    kept = [(each, part) for each, part in pairs if each is not None]
    return HeldOut(scheme, tuple(s for s, _ in kept), tuple(p for _, p in kept), tuple(learned), fold)


def _refused(bad: Unreadable, reading: Reading) -> None:
    if reading.unreadable is None:
        raise BadImage(bad.reason)
    reading.unreadable.append(bad)
