"""Scores of good parts by detectors that have not seen them: what a calibration is made from.

The bounds hold for independent parts, so pictures that show the same part count as one and are never in different
folds, see `images.fingerprint`. That errs towards too few parts, which weakens a promise and breaks none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from blemish.errors import BadInput
from blemish.files import sha256_of
from blemish.images import WHOLE, Inspected, Source, Unreadable, View, keep_readable
from blemish.images.fingerprint import fingerprint, same_parts
from blemish.inspection import inspect, read_each, read_part
from blemish.recipes.reading import PLAIN, Reading
from blemish.types import ArrayDetector, Detector

PartImages = tuple[Path, ...]
"""The pictures that show one and the same part."""

LeaveOut = Callable[[Sequence[PartImages]], Detector]
"""The parts to leave out -> a detector that has learned the others."""


class PartScores(NamedTuple):
    """One picture's result."""

    picture: Path
    score: float
    peak: float  # the highest value of its map
    size: tuple[int, int]  # height and width


def parts_of(
    paths: Sequence[Path], *, view: View = WHOLE, every_picture: bool = False, reading: Reading = PLAIN
) -> list[PartImages]:
    """The parts that the pictures show, in the order of their first; what cannot be read is left out.

    They are told apart by what is inspected of them. `every_picture`: each counts as a part of its own, but for files
    that are equal byte for byte.
    """

    def identify(source: Source) -> tuple[NDArray[np.complex64], str]:
        found = fingerprint(read_part(source, view)[1])
        # Pictures without structure are like none, not even themselves.
        return np.zeros_like(found) if every_picture else found, sha256_of(Path(source.id))

    advance = reading.watch("comparing pictures", len(paths))
    found = list(keep_readable(read_each(paths, identify, advance=advance), reading.unreadable))
    parts = same_parts([likeness for _, (likeness, _) in found], [digest for _, (_, digest) in found])
    return [tuple(Path(found[number][0].id) for number in part) for part in parts]


def score_parts(
    detector: Detector | ArrayDetector,
    paths: Iterable[Path],
    *,
    view: View = WHOLE,
    reading: Reading = PLAIN,
    advance: Callable[[], None] | None = None,
) -> dict[Path, PartScores]:
    """Each picture's result; those that cannot be read have none."""
    every = list(paths)

    def results() -> Iterator[tuple[Path, Inspected | Unreadable]]:
        found = inspect(detector, every, view=view, batch_size=reading.batch_size)
        for path, result in zip(every, found, strict=True):
            if advance:
                advance()
            yield path, result

    return {path: _score(path, result) for path, result in keep_readable(results(), reading.unreadable)}


def _score(path: Path, result: Inspected) -> PartScores:
    values = result.anomaly_map[~np.isnan(result.anomaly_map)]
    height, width = result.anomaly_map.shape
    return PartScores(path, result.score, float(values.max()), (height, width))


def draw_folds(count: int, folds: int | None, seed: int) -> list[list[int]]:
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


def pictures(parts: Iterable[PartImages]) -> list[Path]:
    """All pictures of the parts."""
    return [path for part in parts for path in part]
