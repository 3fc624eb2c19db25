"""CVAT: `annotations.xml`, "CVAT for images 1.1", https://docs.cvat.ai/docs/dataset_management/formats/format-cvat.

Scores, the verdict and the types of a picture are attributes of its regions and of its tag.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO
from xml.etree import ElementTree
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

from blemish.errors import BadData
from blemish.files import write_text
from blemish.formats.polygons import mask_of_runs, polygons_of
from blemish.formats.table import NO_TYPE, Annotated, Annotation, Box, Pictures, Refused, Survey, labels_in

CANNOT_HOLD = ""
LOOKED_FOR = "annotations.xml in CVAT's format for images 1.1"
NAME = "annotations.xml"
PICTURE = "picture"
"""The label of the tag that a picture's own score, verdict and types are attributes of."""
_SEPARATOR = "; "


def write(table: Pictures, survey: Survey, out: Path) -> None:
    """`annotations.xml`, to be uploaded to a task of the same pictures."""
    with write_text(out / NAME) as file:
        file.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n')
        file.write(_meta(survey))
        for number, picture in enumerate(table()):
            _write_picture(file, number, picture, survey)
        file.write("</annotations>\n")


def _meta(survey: Survey) -> str:
    known = [
        *((name, "any", ["score", "group"]) for name in survey.types),
        (PICTURE, "tag", ["score", "verdict", "types"]),
    ]
    labels = "".join(
        f"<label><name>{escape(name)}</name><type>{kind}</type><attributes>{''.join(map(_attribute_of, own))}"
        "</attributes></label>"
        for name, kind, own in known
    )
    return f"  <meta><task><size>{survey.pictures}</size><labels>{labels}</labels></task></meta>\n"


def _attribute_of(name: str) -> str:
    return (
        f"<attribute><name>{name}</name><mutable>False</mutable><input_type>text</input_type>"
        "<default_value></default_value><values></values></attribute>"
    )


def _write_picture(file: IO[str], number: int, picture: Annotated, survey: Survey) -> None:
    name = quoteattr(survey.name(picture))
    file.write(f'  <image id="{number}" name={name} width="{picture.width}" height="{picture.height}">\n')
    said = {"score": _number(picture.score), "verdict": picture.verdict, "types": _SEPARATOR.join(picture.types)}
    if any(said.values()):
        file.write(f'    <tag label="{PICTURE}" source="auto">{_attributes(said)}</tag>\n')
    for at, region in enumerate(picture.regions):
        about = f'label={quoteattr(region.type or NO_TYPE)} source="auto" occluded="0" z_order="0"'
        own = _attributes({"score": _number(region.score), "group": str(at) if len(region.polygons) > 1 else ""})
        for outline in region.polygons:
            points = ";".join(f"{_number(x)},{_number(y)}" for x, y in outline)
            file.write(f'    <polygon {about} points="{points}">{own}</polygon>\n')
        if not region.polygons:
            x, y, width, height = region.box
            ends = zip(("xtl", "ytl", "xbr", "ybr"), (x, y, x + width, y + height), strict=True)
            corners = " ".join(f'{name}="{_number(value)}"' for name, value in ends)
            file.write(f"    <box {about} {corners}>{own}</box>\n")
    file.write("  </image>\n")


def _attributes(said: dict[str, str]) -> str:
    return "".join(f'<attribute name="{name}">{escape(value)}</attribute>' for name, value in said.items() if value)


def _number(value: float | None) -> str:
    return "" if value is None else f"{int(value)}" if value == int(value) else repr(float(value))


def read(place: Path) -> Iterator[Annotated | Refused]:
    """The pictures in order."""
    path = labels_in(place, NAME)
    try:
        parsed = ElementTree.iterparse(path, events=("start", "end"))
        _, top = next(parsed)
        if top.tag != "annotations":
            raise BadData(f"{path} is no export of CVAT: wanted is {LOOKED_FOR}")
        yield from _images(top, (element for event, element in parsed if event == "end"))
    except (ElementTree.ParseError, OSError) as error:
        raise BadData(f"{path} is no XML that can be read ({error}): export it again, as {LOOKED_FOR}") from error


def _images(top: Element, elements: Iterator[Element]) -> Iterator[Annotated | Refused]:
    labels, numbers = set[str](), set[str]()
    for element in elements:
        if element.tag == "meta":
            labels = {found.findtext("name", "") for found in element.iter("label")}
        if element.tag != "image":
            continue
        number = element.get("id", "")
        if number and number in numbers:
            yield Refused("two images have the same id", element.get("name", ""), f"id {number}")
        else:
            yield _picture(element, labels)
        numbers.add(number)
        top.clear()


def _picture(element: Element, labels: set[str]) -> Annotated | Refused:
    name, regions, own = element.get("name", ""), list[tuple[str, Annotation]](), dict[str, str]()
    try:
        width, height = int(element.get("width", "0")), int(element.get("height", "0"))
        for at, found in enumerate(element):
            if found.tag == "tag":
                own |= _said(found) if found.get("label") == PICTURE else {"types": found.get("label", "")}
                continue
            said = _said(found)
            region = _region(found, said, labels)
            if isinstance(region, str):
                return Refused(region, f"{name}, {found.tag} {at + 1}")
            regions.append((said.get("group", f"alone {at}"), region))
        score = float(own["score"]) if own.get("score") else None
    except ValueError as error:
        return Refused("an image holds something else than numbers", name, str(error))
    types = [each for each in own.get("types", "").split(_SEPARATOR) if each]
    return Annotated(name, width, height, _join(regions), score, own.get("verdict", ""), types)


def _join(regions: Sequence[tuple[str, Annotation]]) -> list[Annotation]:
    """Polygons of one group as one region."""
    found = dict[str, Annotation]()
    for group, region in regions:
        before = found.get(group)
        found[group] = before._replace(polygons=[*before.polygons, *region.polygons]) if before else region
    return list(found.values())


def _said(element: Element) -> dict[str, str]:
    return {each.get("name", ""): each.text or "" for each in element.iter("attribute")}


def _region(element: Element, said: Mapping[str, str], labels: set[str]) -> Annotation | str:
    """A region, or what is wrong with it; raises ValueError for what is no number."""
    name = element.get("label", "")
    if labels and name not in labels:
        return "a label is not in the list of labels"
    about, score = "" if name == NO_TYPE else name, float(said["score"]) if said.get("score") else None
    if element.tag == "polygon":
        outline = _outline(element.get("points", ""))
        return Annotation(about, [outline], None, score) if outline else "a polygon has fewer than 3 points"
    if element.tag == "box" and float(element.get("rotation", "0")) == 0:
        x, y, right, down = (float(element.get(side, "nan")) for side in ("xtl", "ytl", "xbr", "ybr"))
        return Annotation(about, (), Box(x, y, right - x, down - y), score)
    if element.tag == "mask":
        width, height, left, top = (int(element.get(side, "0")) for side in ("width", "height", "left", "top"))
        runs = [int(each) for each in element.get("rle", "").split(",")]
        mask = mask_of_runs(runs, height, width, by_columns=False)
        shapes = [] if mask is None else polygons_of(mask, (left, top))
        return Annotation(about, shapes, None, score) if shapes else "a mask is empty, or not as large as it says"
    return f"a {element.tag} marks no area that is read: draw polygons, boxes or masks"


def _outline(points: str) -> list[list[float]]:
    """Corners of `x,y;x,y;x,y`, none of something else; raises ValueError for what is no number."""
    corners = points.split(";")
    values = iter(list(map(float, points.replace(";", ",").split(","))))
    fits = len(corners) >= 3 and points.count(",") == len(corners) and all("," in each for each in corners)
    return list(map(list, zip(values, values, strict=True))) if fits else []
