"""The one table of annotations that every format is written from and read into: a row a picture, with its regions.

Places are in pixels of the upright picture, (0, 0) its upper left corner, (width, height) its lower right one.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from blemish.errors import BadData
from blemish.formats.polygons import Polygon, bounds

NO_TYPE = "defect"
"""The class of a region whose type nobody named, in formats where every region has a class."""


class Box(NamedTuple):
    """A rectangle; `x`, `y` is its upper left corner."""

    x: float
    y: float
    width: float
    height: float


class Annotation(NamedTuple):
    """One region: polygons, of which it is the union, or where there are none a box."""

    type: str  # "" where nobody named it
    polygons: Sequence[Polygon] = ()
    drawn_box: Box | None = None
    score: float | None = None  # the highest of the map

    @property
    def box(self) -> Box:
        """Around the polygons, or as it was drawn."""
        return self.drawn_box if self.drawn_box and not self.polygons else Box(*bounds(self.polygons))

    @property
    def outlines(self) -> Sequence[Polygon]:
        """The polygons, or the box as one."""
        if self.polygons:
            return self.polygons
        x, y, width, height = self.box
        return [[[x, y], [x + width, y], [x + width, y + height], [x, y + height]]]


class Annotated(NamedTuple):
    """A picture with its regions."""

    path: str  # as the run or the labels name it
    width: int
    height: int
    regions: Sequence[Annotation] = ()
    score: float | None = None
    verdict: str = ""  # accept, review or reject; "" where there is none
    types: Sequence[str] = ()  # of the picture, also where no region has one
    file: str = ""  # where it lies, if that is another place than `path`, or who read the labels has looked

    @property
    def place(self) -> Path:
        """Of the file."""
        return Path(self.file or self.path)


class Refused(NamedTuple):
    """Something in labels that is wrong: of a picture, which is then left out whole, or of the file."""

    kind: str  # what is wrong, without the place: "a box lies outside its picture"
    place: str  # the picture, and the region in it
    more: str = ""  # what was found there


Pictures = Callable[[], Iterable[Annotated]]
"""The pictures, as often as it is called."""


class Survey(NamedTuple):
    """What a writer must know before the first picture."""

    types: tuple[str, ...]  # classes, sorted
    root: str  # the folder in which all pictures lie; names are relative to it
    pictures: int
    regions: int
    verdicts: int  # pictures that have one

    def name(self, picture: Annotated) -> str:
        """The picture's path below the root, with / between folders."""
        return os.path.relpath(picture.place, self.root).replace(os.sep, "/")

    def number(self, region: Annotation) -> int:
        """Of the region's class, from 0 on."""
        return self.types.index(region.type or NO_TYPE)


@contextmanager
def keep(pictures: Iterable[Annotated]) -> Iterator[tuple[Pictures, Survey]]:
    """The table on disk, to be gone through as often as wanted, and what stands in it; memory does not grow with it."""
    types, root, count, regions, verdicts = set[str](), "", 0, 0, 0
    with tempfile.TemporaryFile(prefix="blemish-") as file:
        for picture in pictures:
            folder = os.path.dirname(os.path.abspath(picture.place))
            root = os.path.commonpath([root, folder]) if root else folder
            types.update(each.type or NO_TYPE for each in picture.regions)
            types.update(picture.types)
            count, regions, verdicts = count + 1, regions + len(picture.regions), verdicts + bool(picture.verdict)
            _put(file, picture)

        yield partial(_take, file), Survey(tuple(sorted(types)), root or ".", count, regions, verdicts)


def _put(file: IO[bytes], picture: Annotated) -> None:
    """A line of JSON that says how many corners each polygon has, and then these, which take longer as text."""
    outlines = [outline for region in picture.regions for outline in region.polygons]
    places = np.array(list(chain.from_iterable(chain.from_iterable(outlines))))
    places = places if places.dtype == np.int64 else places.astype(np.float64)
    regions = [(each.type, [*map(len, each.polygons)], each.drawn_box, each.score) for each in picture.regions]
    path, width, height, _, *more = picture
    told = json.dumps((places.dtype.str, places.nbytes, (path, width, height, regions, *more)))
    file.write(told.encode("ascii") + b"\n" + places.tobytes())


def _take(file: IO[bytes]) -> Iterator[Annotated]:
    file.seek(0)
    for line in iter(file.readline, b""):
        kind, size, (path, width, height, kept, *more) = json.loads(line)
        corners = iter(np.frombuffer(file.read(size), kind).reshape(-1, 2).tolist())
        regions = [
            Annotation(name, [[*islice(corners, count)] for count in counts], box and Box(*box), score)
            for name, counts, box, score in kept
        ]
        yield Annotated(path, width, height, regions, *more)


def labels_in(place: Path, name: str) -> Path:
    """The file with the labels: the place, or what a folder has by that name; raises BadData where there is none."""
    file = place / name if place.is_dir() else place
    if not file.exists():
        raise BadData(f"{place} has no {name}: name the file with the labels")
    return file


def find_files(folder: Path, suffixes: tuple[str, ...]) -> list[tuple[str, Path]]:
    """Files below a folder with one of these endings, in the order of their paths; hidden ones are left out.

    Each with what a picture and its labels have in common: its path there, with / between folders and without ending.
    """
    found = [os.path.join(root, name) for root, name in _walk(folder) if name.lower().endswith(suffixes)]
    start = len(os.path.join(folder, ""))
    keys = (os.path.normcase(os.path.splitext(path[start:])[0]).replace(os.sep, "/") for path in found)
    return sorted(zip(keys, map(Path, found), strict=True), key=lambda each: each[1].parts)


def _walk(folder: Path) -> Iterator[tuple[str, str]]:
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from ((root, name) for name in names if not name.startswith("."))
