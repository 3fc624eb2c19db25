"""COCO: one JSON file of images, annotations and categories, https://cocodataset.org/#format-data.

Beside what the format names, images have `score`, `verdict` and `types`, and annotations `score`: readers of COCO pass
over what they do not know. An annotation without a type is of the category "defect".
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from blemish.errors import BadData
from blemish.fields import are_numbers, is_count, is_number, is_text, list_of
from blemish.formats.json_stream import members, write_lists
from blemish.formats.polygons import area, mask_of_runs, polygons_of
from blemish.formats.table import NO_TYPE, Annotated, Annotation, Box, Pictures, Refused, Survey, labels_in

CANNOT_HOLD = ""
LOOKED_FOR = "a JSON file with images, annotations and categories"
NAME = "annotations.json"
_TABLES = """
create table images (id integer primary key, content text);
create table annotations (id integer primary key, image integer, content text);
create table categories (id integer primary key, name text);
create table wrong (image integer, said text);
"""


def write(table: Pictures, survey: Survey, out: Path) -> None:
    """`annotations.json`; paths are relative to the pictures' folder."""
    with write_lists(out / NAME, "images", "annotations", "categories") as lists:
        for number, name in enumerate(survey.types, start=1):
            lists["categories"].add({"id": number, "name": name, "supercategory": NO_TYPE})
        for number, picture in enumerate(table(), start=1):
            lists["images"].add(_image(number, picture, survey))
            for region in picture.regions:
                lists["annotations"].add(_annotation(lists["annotations"].length + 1, number, region, survey))


def _image(number: int, picture: Annotated, survey: Survey) -> dict[str, Any]:
    more = {"score": picture.score, "verdict": picture.verdict, "types": list(picture.types)}
    image = {"id": number, "file_name": survey.name(picture), "width": picture.width, "height": picture.height}
    return image | {name: value for name, value in more.items() if value not in (None, "", [])}


def _annotation(number: int, image: int, region: Annotation, survey: Survey) -> dict[str, Any]:
    polygons = [[value for point in each for value in point] for each in region.polygons]
    covered = sum(map(area, region.polygons)) if polygons else region.box.width * region.box.height
    found = {
        "id": number,
        "image_id": image,
        "category_id": survey.number(region) + 1,
        "bbox": list(region.box),
        "segmentation": polygons,
        "area": covered,
        "iscrowd": 0,
    }
    return found if region.score is None else found | {"score": region.score}


class _Database(NamedTuple):
    """A COCO file by picture: annotations stand there in any order."""

    database: sqlite3.Connection
    names: dict[int, str]  # of categories


def read(place: Path) -> Iterator[Annotated | Refused]:
    """The pictures in the order of their ids."""
    with tempfile.TemporaryDirectory(prefix="blemish-") as folder, closing(sqlite3.connect(f"{folder}/coco")) as opened:
        opened.executescript(f"pragma journal_mode=off; pragma synchronous=off;{_TABLES}")
        yield from _fill(opened, labels_in(place, NAME))
        opened.execute("create index by_image on annotations (image)")
        known = _Database(opened, dict(opened.execute("select id, name from categories")))
        wrong = dict(opened.execute("select image, said from wrong"))
        lost = "select id, image from annotations where image not in (select id from images)"
        said = "an annotation is of an image that is not listed"
        yield from (Refused(said, f"annotation {number}", f"image {image}") for number, image in opened.execute(lost))
        for number, content in opened.execute("select id, content from images order by id"):
            image = json.loads(content)
            yield Refused(wrong[number], image["file_name"]) if number in wrong else _picture(number, image, known)


def _fill(database: sqlite3.Connection, place: Path) -> Iterator[Refused]:
    """Put the file into the database; what has no place there is told."""
    found = set[str]()
    for key, item, text in members(place, found):
        if key == "images":
            yield from _add_image(database, item)
        elif key == "annotations":
            yield from _add_annotation(database, item, text)
        elif key == "categories":
            yield from _add_category(database, item)
    if not {"images", "annotations", "categories"} <= found:
        raise BadData(f"{place} is no file of COCO: wanted is {LOOKED_FOR}")


def _add_image(database: sqlite3.Connection, image: Any) -> Iterator[Refused]:
    sizes = ("width", "height")
    if not (_has(image, "id", _is_id) and _has(image, "file_name", is_text)):
        yield Refused("an image has no id or no file_name", f"{image!r:.80}")
    elif not all(_has(image, side, is_count) and image[side] for side in sizes):
        yield Refused("an image has no width or no height", image["file_name"])
    elif not _insert(database, "images", (image["id"], json.dumps(image))):
        said = "another image has the same id"
        yield Refused(said, image["file_name"], f"id {image['id']}")
        database.execute("insert into wrong values (?, ?)", (image["id"], said))


def _add_annotation(database: sqlite3.Connection, found: Any, text: str) -> Iterator[Refused]:
    """Where one is wrong, so is the image that it is of, and of two with one id those of both."""
    mark, image = "insert into wrong values (?, ?)", found["image_id"] if _has(found, "image_id", _is_id) else None
    if image is None or not _has(found, "id", _is_id):
        said = "an annotation has no id or no image_id"
        yield Refused(said, f"{found!r:.80}")
        database.execute(mark, (image, said))
    elif not _insert(database, "annotations", (found["id"], image, text)):
        said = "two annotations have the same id"
        yield Refused(said, f"annotation {found['id']}", f"image {image}")
        database.execute(mark, (image, said))
        database.execute("insert into wrong select image, ? from annotations where id = ?", (said, found["id"]))


def _add_category(database: sqlite3.Connection, found: Any) -> Iterator[Refused]:
    """One that has two names has none."""
    if not (_has(found, "id", _is_id) and _has(found, "name", is_text)):
        yield Refused("a category has no id or no name", f"{found!r:.80}")
    elif not _insert(database, "categories", (found["id"], found["name"])):
        yield Refused("two categories have the same id", found["name"], f"id {found['id']}")
        database.execute("update categories set name = '' where id = ? and name <> ?", (found["id"], found["name"]))


def _insert(database: sqlite3.Connection, table: str, row: tuple[Any, ...]) -> bool:
    """Whether its id was free."""
    marks = ", ".join("?" * len(row))
    return database.execute(f"insert or ignore into {table} values ({marks})", row).rowcount == 1


def _is_id(value: Any) -> bool:
    return is_count(value) and value < 1 << 63


def _has(found: Any, key: str, fits: Any) -> bool:
    return isinstance(found, Mapping) and bool(fits(found.get(key)))


def _picture(number: int, image: Mapping[str, Any], known: _Database) -> Annotated | Refused:
    rows = known.database.execute("select content from annotations where image = ? order by id", (number,))
    regions = []
    for row in rows:
        found = json.loads(row[0])
        region = _region(found, image, known.names)
        if isinstance(region, str):
            return Refused(region, f"{image['file_name']}, annotation {found['id']}")
        regions.append(region)
    score, types = image.get("score"), image.get("types", [])
    return Annotated(
        image["file_name"],
        image["width"],
        image["height"],
        regions,
        score if is_number(score) else None,
        str(image.get("verdict", "")),
        types if list_of(is_text)(types) else (),
    )


def _region(found: Mapping[str, Any], image: Mapping[str, Any], names: Mapping[int, str]) -> Annotation | str:
    """A region, or what is wrong with it."""
    name = names.get(found["category_id"]) if _has(found, "category_id", is_count) else None
    if name is None:
        return "the category of an annotation is not listed"
    if not name:
        return "the category of an annotation has two names"
    about, score = "" if name == NO_TYPE else name, found.get("score")
    score = score if is_number(score) else None
    box = Box(*found["bbox"]) if are_numbers(found.get("bbox")) and len(found["bbox"]) == 4 else None
    if shape := found.get("segmentation"):
        polygons = _polygons(shape, image)
        return Annotation(about, polygons, box, score) if polygons else "a segmentation is no polygon and no mask"
    return Annotation(about, (), box, score) if box else "an annotation has neither segmentation nor bbox"


def _polygons(shape: Any, image: Mapping[str, Any]) -> list[Any]:
    """Those of a segmentation in any of its three spellings; none where it is none of them."""
    if isinstance(shape, list):
        fits = all(map(_is_outline, shape))
        return [[list(pair) for pair in zip(each[::2], each[1::2], strict=True)] for each in shape] if fits else []
    if not isinstance(shape, Mapping) or shape.get("size") != [image["height"], image["width"]]:
        return []
    counts = shape.get("counts")
    runs = _runs(counts) if isinstance(counts, str) else counts if list_of(is_count)(counts) else None
    mask = None if runs is None else mask_of_runs(runs, *shape["size"], by_columns=True)
    return [] if mask is None else polygons_of(mask)


def _is_outline(values: Any) -> bool:
    """Whether it is 3 points or more, x and y in turn."""
    return are_numbers(values) and len(values) >= 6 and len(values) % 2 == 0


def _runs(text: str) -> list[int]:
    """The lengths that COCO's strings hold: base 32 with a sign, from the third on less the one two before."""
    runs = list[int]()
    value = shift = 0
    for letter in text:
        digit = ord(letter) - 48
        value |= (digit & 31) << shift
        shift += 5
        if not digit & 32:
            value -= (1 << shift) if digit & 16 else 0
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return runs
