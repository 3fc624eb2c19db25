"""Label Studio: a JSON list of tasks, and the labelling interface they belong to, https://labelstud.io/guide/task_format.

What a run found are predictions, which people then accept or correct. Points are percent of the picture's sides; files
are named as Label Studio's local storage serves them, relative to the pictures' folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from math import cos, radians, sin
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote
from xml.sax.saxutils import quoteattr

from blemish import files
from blemish.classification.names import VERDICTS
from blemish.errors import BadData
from blemish.fields import are_numbers, is_number, is_text, list_of
from blemish.formats.json_stream import members, write_list
from blemish.formats.polygons import Polygon, from_shares, snap
from blemish.formats.table import NO_TYPE, Annotated, Annotation, Box, Pictures, Refused, Survey, labels_in
from blemish.images import SUFFIXES

CANNOT_HOLD = ""
LOOKED_FOR = "a JSON list of tasks, as Label Studio exports them (JSON)"
NAME = "tasks.json"
SERVED = "/data/local-files/?d="
_UPLOADED = re.compile(r"^[0-9a-f]{8}-")
"""What Label Studio puts before the name of a file that is uploaded."""


def write(table: Pictures, survey: Survey, out: Path) -> None:
    """`tasks.json`, to be imported, and `interface.xml`, the labelling interface of the project."""
    with write_list(out / NAME) as tasks:
        for picture in table():
            tasks.add(_task(picture, survey))
    files.write(out / "interface.xml", _interface(survey.types or (NO_TYPE,)))


def _interface(types: Sequence[str]) -> str:
    labels = "".join(f"    <Label value={quoteattr(name)}/>\n" for name in types)
    choices = "".join(f'    <Choice value="{name}"/>\n' for name in VERDICTS)
    named = "".join(f"    <Choice value={quoteattr(name)}/>\n" for name in types)
    return (
        '<View>\n  <Image name="image" value="$image" zoom="true"/>\n'
        f'  <PolygonLabels name="regions" toName="image">\n{labels}  </PolygonLabels>\n'
        f'  <RectangleLabels name="boxes" toName="image">\n{labels}  </RectangleLabels>\n'
        f'  <Choices name="verdict" toName="image" choice="single">\n{choices}  </Choices>\n'
        f'  <Choices name="types" toName="image" choice="multiple">\n{named}  </Choices>\n</View>\n'
    )


def _task(picture: Annotated, survey: Survey) -> dict[str, Any]:
    found = [each for number, region in enumerate(picture.regions) for each in _results(number, region, picture)]
    for name, chosen in (("verdict", [picture.verdict] if picture.verdict else []), ("types", list(picture.types))):
        about = {"id": name, "type": "choices", "from_name": name, "to_name": "image", "value": {"choices": chosen}}
        found += [about] if chosen else []
    score = {} if picture.score is None else {"score": picture.score}
    sides = {"width": picture.width, "height": picture.height}
    prediction = {"model_version": "blemish", **score, "result": found}
    return {"data": {"image": SERVED + quote(survey.name(picture)), **sides}, "predictions": [prediction]}


def _results(number: int, region: Annotation, picture: Annotated) -> Iterator[dict[str, Any]]:
    """One a polygon; those of one region have one beginning of their ids."""
    label = region.type or NO_TYPE
    sides = {"original_width": picture.width, "original_height": picture.height, "image_rotation": 0}
    about = {"to_name": "image", **sides, **({} if region.score is None else {"score": region.score})}
    for part, outline in enumerate(region.polygons):
        points = [[100 * x / picture.width, 100 * y / picture.height] for x, y in outline]
        value = {"points": points, "closed": True, "polygonlabels": [label]}
        yield {"id": f"r{number}.{part}", "type": "polygonlabels", "from_name": "regions", "value": value} | about
    if not region.polygons:
        x, y, width, height = region.box
        shares = [100 * x / picture.width, 100 * y / picture.height]
        shares += [100 * width / picture.width, 100 * height / picture.height]
        value = dict(zip(("x", "y", "width", "height"), shares, strict=True))
        value |= {"rotation": 0, "rectanglelabels": [label]}
        yield {"id": f"r{number}.0", "type": "rectanglelabels", "from_name": "boxes", "value": value} | about


def read(place: Path) -> Iterator[Annotated | Refused]:
    """The pictures of the tasks in order; what people said of each, else the last prediction."""
    seen = set[str]()
    for number, (key, task, _) in enumerate(members(labels_in(place, NAME)), start=1):
        if key or not isinstance(task, Mapping):
            raise BadData(f"{place} is no export of Label Studio: wanted is {LOOKED_FOR}")
        name = str(task.get("id", f"number {number}"))
        twice = Refused("two tasks have the same id", _path(task.get("data")), f"id {name}")
        yield twice if name in seen else _picture(task, f"task {name}")
        seen.add(name)


def _picture(task: Mapping[str, Any], name: str) -> Annotated | Refused:
    path = _path(task.get("data"))
    if not path:
        return Refused("a task names no picture", name)
    said = _said(task)
    if isinstance(said, str):
        return Refused(said, path)
    results = [each for each in said["result"] if isinstance(each.get("value"), Mapping)]  # relations have none
    width, height = _size(task, results)
    polygons = from_shares([_corners(each) for each in results], width, height, whole=100)
    regions, ids = dict[str, Annotation](), set[str]()
    for each, polygon in zip(results, polygons, strict=True):
        region = _region(each, polygon, width, height)
        if isinstance(region, str):
            return Refused(region, f"{path}, region {each.get('id')}")
        if region:
            name = str(each.get("id", f"number {len(regions)}"))
            key = name.partition(".")[0]
            joined = _join(regions[key], region, again=name in ids) if key in regions else region
            if joined is None:
                return Refused("two regions have the same id", f"{path}, region {name}")
            regions[key] = joined
            ids.add(name)
    score = said.get("score") if "predictions" in task else None
    verdict, types = _chosen(results, "verdict"), _chosen(results, "types")
    return Annotated(
        path, width, height, list(regions.values()), score if is_number(score) else None, "".join(verdict[:1]), types
    )


def _said(task: Mapping[str, Any]) -> Mapping[str, Any] | str:
    """What a person said of a task, else the last prediction, with its list `result`; or what is wrong with it."""
    every = _objects(task.get("annotations")), _objects(task.get("predictions"))
    if None in every:
        return "the annotations or predictions of a task are no list of objects"
    people = [each for each in every[0] or () if not each.get("was_cancelled")]
    if len(people) > 1:
        return "a task has several annotations, of which one is to be left"
    if not (last := (people or every[1] or [])[-1:]):
        return "a task is not annotated"
    results = _objects(last[0].get("result"))
    return "the result of a task is no list of objects" if results is None else {**last[0], "result": results}


def _objects(found: Any) -> list[Mapping[str, Any]] | None:
    """A list of objects, empty where it is not there; None for something else."""
    found = [] if found is None else found
    return found if isinstance(found, list) and all(isinstance(each, Mapping) for each in found) else None


def _join(before: Annotation, found: Annotation, *, again: bool) -> Annotation | None:
    """A region with one more polygon, or with the label that its shape has; None for two regions of one id.

    again: the whole id is the same, as of a shape and its label, which Label Studio may tell one after the other.
    """
    if again:
        same = (before.drawn_box, list(before.polygons[-1:])) == (found.drawn_box, list(found.polygons))
        return before._replace(type=before.type or found.type) if same and "" in (before.type, found.type) else None
    alike = before.polygons and found.polygons and before.type == found.type
    return before._replace(polygons=[*before.polygons, *found.polygons]) if alike else None


def _path(data: Any) -> str:
    """Of the picture that a task shows, as it was named when it was given to Label Studio."""
    texts = [each for each in data.values() if isinstance(each, str)] if isinstance(data, Mapping) else []
    found = next((each for each in texts if each.lower().endswith(SUFFIXES)), "")
    if SERVED in found:
        return unquote(found.partition(SERVED)[2])
    name = found.rpartition("/")[2]
    return unquote(_UPLOADED.sub("", name)) if found.startswith("/data/upload/") else found


def _size(task: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """Width and height; 0 where the task does not say."""
    for found in (*results, {f"original_{key}": value for key, value in task["data"].items()}):
        width, height = found.get("original_width"), found.get("original_height")
        if isinstance(width, int) and isinstance(height, int):
            return width, height
    return 0, 0


def _chosen(results: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    found = (each["value"].get("choices") for each in results if each.get("from_name") == name)
    return [choice for choices in found if list_of(is_text)(choices) for choice in choices]


def _corners(found: Mapping[str, Any]) -> Sequence[float]:
    """x and y of a polygon in turn; none of what is none."""
    points = found["value"].get("points")
    if not (isinstance(points, list) and len(points) >= 3 and set(map(type, points)) == {list}):
        return ()
    flat = list(chain.from_iterable(points))
    return flat if set(map(len, points)) == {2} and are_numbers(flat) else ()


def _region(found: Mapping[str, Any], polygon: Polygon, width: int, height: int) -> Annotation | str | None:
    """A region, what is wrong with it, or None for what is no region; polygon: empty where it is none."""
    kind, value = found.get("type"), found["value"]
    if kind in ("choices", "textarea", "rating", "number", "taxonomy"):
        return None
    if not width:
        return "a region does not say how large its picture is"
    names, score = value.get(str(kind)), found.get("score")
    name = names[0] if list_of(is_text)(names) and names else ""
    about, score = "" if name == NO_TYPE else name, score if is_number(score) else None
    if polygon:
        return Annotation(about, [polygon], None, score)
    if all(is_number(value.get(side)) for side in ("x", "y", "width", "height")):
        x, y, wide, high = (
            _pixels(value[side], of) for side, of in (("x", width), ("y", height), ("width", width), ("height", height))
        )
        if turn := value.get("rotation"):
            return Annotation(about, [_turned(Box(x, y, wide, high), turn)], None, score)
        return Annotation(about, (), Box(x, y, wide, high), score)
    return f"a region is of the kind {kind}, which is read from polygons and rectangles alone"


def _pixels(percent: float, side: int) -> float:
    return snap(float(percent) * side / 100)


def _turned(box: Box, degrees: float) -> list[list[float]]:
    """The corners of a box that is turned about its upper left one, clockwise on the screen."""
    across, down = (cos(radians(degrees)), sin(radians(degrees))), (-sin(radians(degrees)), cos(radians(degrees)))
    corners = [(0, 0), (box.width, 0), (box.width, box.height), (0, box.height)]
    return [[box.x + a * across[0] + b * down[0], box.y + a * across[1] + b * down[1]] for a, b in corners]
