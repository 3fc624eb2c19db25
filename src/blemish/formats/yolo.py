"""YOLO: `images/`, `labels/` with a text file a picture, and `data.yaml`, https://docs.ultralytics.com/datasets.

A line is a class and a box, `number x y width height` about its centre, or a class and a polygon, `number x y x y ...`,
all as shares of the picture's sides. Programs read all lines of a file as polygons if one is, so a file holds boxes
only or polygons only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from blemish import files
from blemish.errors import BadData, BadImage, BadInput, MissingExtra
from blemish.formats.pictures import copy_picture
from blemish.formats.polygons import from_shares, snap
from blemish.formats.table import NO_TYPE, Annotated, Annotation, Box, Pictures, Refused, Survey, find_files
from blemish.images import SUFFIXES, read_header

CANNOT_HOLD = (
    "YOLO's labels hold classes and shapes alone: no scores, no verdicts and no types of pictures; a region of several "
    "polygons becomes several"
)
LOOKED_FOR = "a folder with data.yaml or classes.txt, images/ and labels/"
_DIGITS = 9
"""Decimals of shares: less than a thousandth of a pixel."""


def write(table: Pictures, survey: Survey, out: Path) -> None:
    """The folder, pictures copied: programs look for them beside the labels. A good part has an empty file."""
    for picture in table():
        name = Path(survey.name(picture))
        labels = out / "labels" / name.with_suffix(".txt")
        if labels.exists():
            raise BadInput(f"{name} and another picture differ by their endings alone, and YOLO has one file for both")
        files.write(labels, "".join(_lines(picture, survey)), lasting=False)
        copy_picture(picture.place, out / "images" / name)
    named = "".join(f"  {number}: {json.dumps(name)}\n" for number, name in enumerate(survey.types))
    files.write(out / "data.yaml", f"path: .\ntrain: images\nval: images\nnames:\n{named}")


def _lines(picture: Annotated, survey: Survey) -> Iterator[str]:
    drawn = any(each.polygons for each in picture.regions)
    for each in picture.regions:
        number, (x, y, width, height) = survey.number(each), each.box
        box = [(x + width / 2) / picture.width, (y + height / 2) / picture.height]
        box += [width / picture.width, height / picture.height]
        for outline in each.outlines if drawn else ():
            shares = [share for px, py in outline for share in (px / picture.width, py / picture.height)]
            yield f"{number} {_numbers(shares)}\n"
        if not drawn:
            yield f"{number} {_numbers(box)}\n"


def _numbers(shares: Sequence[float]) -> str:
    return " ".join(f"{share:.{_DIGITS}f}".rstrip("0").rstrip(".") for share in shares)


class _Shares(NamedTuple):
    """A line of labels."""

    type: str
    values: Sequence[float]  # a box, or corners

    @property
    def has_corners(self) -> bool:
        return len(self.values) > 5


def read(place: Path) -> Iterator[Annotated | Refused]:
    """The pictures of `images/` in the order of their names; one without a text file has no defect.

    place: the folder, or the `data.yaml` in it.
    """
    place = place.parent if place.name == "data.yaml" else place
    names = _names(place)
    if not (place / "images").is_dir():
        raise BadData(f"{place} has no folder images: wanted is {LOOKED_FOR}")
    pictures = find_files(place / "images", SUFFIXES)
    labels = dict(find_files(place / "labels", (".txt",)))
    called = {name for name, _ in pictures}
    spare = (path for name, path in labels.items() if name not in called and path.stem != "classes")
    yield from (Refused("the picture of labels is missing", str(each)) for each in spare)
    yield from (_picture(path, labels.get(name), names) for name, path in pictures)


def _picture(path: Path, labels: Path | None, names: Mapping[int, str]) -> Annotated | Refused:
    try:
        height, width = read_header(path).upright
        text = labels.read_text(encoding="utf-8") if labels else ""
    except BadImage as error:
        return Refused("a picture cannot be read", str(path), str(error))
    except (OSError, UnicodeDecodeError):
        return Refused("labels are no text that can be read", str(labels))
    found = list[_Shares]()
    for number, line in enumerate(text.splitlines(), start=1):
        told = _shares(words, names) if (words := line.split()) else None
        if isinstance(told, str):
            return Refused(told, f"{labels}, line {number}", line[:80])
        found += [told] if told else []
    return Annotated(str(path), width, height, _regions(found, width, height), file=str(path))


def _shares(words: Sequence[str], names: Mapping[int, str]) -> _Shares | str:
    """What a line holds, or what is wrong with it."""
    try:
        number, values = int(words[0]), list(map(float, words[1:]))
    except ValueError:
        return "a line holds something else than numbers"
    if not all(map(isfinite, values)):
        return "a line holds something else than finite numbers"
    if number not in names:
        return "a class is not in the list of names"
    if len(values) not in (4, 5) and (len(values) < 6 or len(values) % 2):
        return "a line is neither a box of 4 numbers nor a polygon of 3 points or more"
    return _Shares("" if names[number] == NO_TYPE else names[number], values)


def _regions(found: Sequence[_Shares], width: int, height: int) -> list[Annotation]:
    polygons = from_shares([each.values if each.has_corners else () for each in found], width, height)
    return [
        Annotation(each.type, [polygon]) if each.has_corners else _boxed(each, width, height)
        for each, polygon in zip(found, polygons, strict=True)
    ]


def _boxed(found: _Shares, width: int, height: int) -> Annotation:
    x, y, wide, high, *confidence = found.values  # the fifth is there where predictions are saved
    across, down = wide * width, high * height
    box = Box(*map(snap, (x * width - across / 2, y * height - down / 2, across, down)))
    return Annotation(found.type, (), box, confidence[0] if confidence else None)


def _names(place: Path) -> dict[int, str]:
    """Classes by number."""
    told, listed = place / "data.yaml", [place / "classes.txt", place / "labels" / "classes.txt"]
    if told.exists():
        return _told_names(told)
    for file in listed:
        if file.exists():
            return dict(enumerate(filter(None, map(str.strip, file.read_text(encoding="utf-8").splitlines()))))
    raise BadData(f"{place} has no data.yaml and no classes.txt, so classes have no names: wanted is {LOOKED_FOR}")


def _told_names(file: Path) -> dict[int, str]:
    try:
        import yaml
    except ImportError as error:
        raise MissingExtra("reading data.yaml needs PyYAML: pip install 'blemish[formats]'") from error
    try:
        read: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        raise BadData(f"{file} is no YAML that can be read: export it again") from error
    names = read.get("names") if isinstance(read, dict) else None
    found = dict(enumerate(names)) if isinstance(names, list) else names
    if not (isinstance(found, dict) and all(type(number) is int for number in found)):
        raise BadData(f"{file}: names: wanted are the classes, a list or a table by number")
    return {number: str(name) for number, name in found.items()}
