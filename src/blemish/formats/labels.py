"""Labels of another program -> the table, with everything that is wrong in them told and left out.

A picture of which anything is wrong is left out whole: a defect that is not marked would teach as if it were good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from blemish.errors import BadData, BadImage
from blemish.fields import are_finite
from blemish.formats import read_format
from blemish.formats.polygons import boxes_around, cross_themselves
from blemish.formats.table import Annotated, Annotation, Box, Refused
from blemish.images import read_header

SLACK = 1.0
"""Pixels by which a region may reach beyond its picture, where programs round; it is cut off there."""


def read_labels(
    place: Path, name: str, images: Path | None = None, *, refuse: Callable[[Refused], None]
) -> Iterator[Annotated]:
    """The pictures that are whole, found on this disk; `refuse` is told of the others.

    images: the folder where pictures lie, if it is another than that of the labels or `images` in it. Raises BadData
    for a place that does not exist, holds another format, or has a picture twice.
    """
    if not place.exists():
        raise BadData(f"{place} does not exist: name the labels that were exported")
    home = place if place.is_dir() else place.parent
    homes = [images] if images else [home, home / "images"]
    seen = set[int]()
    for found in read_format(name).read(place):
        checked = found if isinstance(found, Refused) else check(found, homes)
        if isinstance(checked, Refused):
            refuse(checked)
        elif hash(checked.file) in seen:
            raise BadData(f"{place} has {checked.file} twice, and nobody knows which is right: leave one out")
        else:
            seen.add(hash(checked.file))
            yield checked


def check(picture: Annotated, homes: list[Path]) -> Annotated | Refused:
    """The picture with its file, its size and regions inside it; or the first thing that is wrong."""
    placed = picture if picture.file else _place(picture, homes)
    if isinstance(placed, Refused):
        return placed
    width, height = placed.width, placed.height
    regions, said = list[Annotation](), ""
    for region, box in zip(picture.regions, _boxes(picture.regions), strict=True):
        inside = _inside(region, box, width, height)
        if isinstance(inside, str):
            said = inside
            break
        regions.append(inside)
    crossing = _first_crossing(picture.regions[: len(regions)])
    wrong, said = (len(regions), said) if crossing is None else (crossing, "a polygon crosses itself")
    if said:
        about = picture.regions[wrong]
        return Refused(said, f"{picture.path}, region {wrong + 1}", f"{tuple(about.drawn_box or about.box)}")
    return placed._replace(regions=regions)


def _place(picture: Annotated, homes: list[Path]) -> Annotated | Refused:
    """The picture with its file and the size that it has, or what is wrong with them."""
    file = _find(picture.path, homes)
    if file is None:
        return Refused("a picture is missing", picture.path, f"looked for in {' and '.join(map(str, homes))}")
    try:
        height, width = read_header(file).upright
    except BadImage as error:
        return Refused("a picture cannot be read", picture.path, str(error))
    if picture.width and (picture.width, picture.height) != (width, height):
        sizes = f"{picture.width} x {picture.height} and {width} x {height}"
        return Refused("a picture has another size than its labels say", picture.path, sizes)
    return picture._replace(width=width, height=height, file=str(file))


def _first_crossing(regions: Sequence[Annotation]) -> int | None:
    """The number of the first region of which a polygon crosses itself."""
    outlines = [(number, each) for number, region in enumerate(regions) for each in region.polygons]
    crossed = cross_themselves([each for _, each in outlines])
    return next((number for (number, _), does in zip(outlines, crossed, strict=True) if does), None)


def _find(path: str, homes: list[Path]) -> Path | None:
    """Where it is named, below the folder of pictures, or directly in it."""
    plain = path.replace("\\", "/")
    named = (home / plain for home in homes)
    tried = chain([Path(path)], named, (home / Path(plain).name for home in homes))
    return next((each for each in tried if each.is_file()), None)


def _boxes(regions: Sequence[Annotation]) -> Iterator[Box]:
    """Of each region, about all its polygons if it has some."""
    around = iter(boxes_around([each.polygons for each in regions if each.polygons]))
    return (Box(*next(around)) if each.polygons else each.box for each in regions)


def _inside(region: Annotation, box: Box, width: int, height: int) -> Annotation | str:
    """The region cut at the picture's border, or what is wrong with it."""
    x, y, wide, high = box
    if not are_finite(box):
        return "a region has a place that is no finite number"
    if not (wide > 0 and high > 0):
        return "a region has no area"
    if _is_beyond(box, width, height):
        return "a region reaches beyond its picture"
    if region.polygons and region.drawn_box and _is_beyond(region.drawn_box, width, height):
        return "the box of a polygon reaches beyond its picture"
    if x >= 0 and y >= 0 and x + wide <= width and y + high <= height:
        return region._replace(drawn_box=None) if region.polygons else region
    polygons = [[[min(max(px, 0), width), min(max(py, 0), height)] for px, py in each] for each in region.polygons]
    left, top = max(x, 0), max(y, 0)
    box = Box(left, top, min(x + wide, width) - left, min(y + high, height) - top)
    return region._replace(polygons=polygons, drawn_box=None if polygons else box)


def _is_beyond(box: Box, width: int, height: int) -> bool:
    x, y, wide, high = box
    return x < -SLACK or y < -SLACK or x + wide > width + SLACK or y + high > height + SLACK
