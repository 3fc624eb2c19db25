"""labelme: a JSON file a picture, https://github.com/wkentaro/labelme."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from math import cos, dist, pi, sin
from pathlib import Path
from typing import Any

import numpy as np

from blemish.errors import BadData, BadImage
from blemish.fields import is_count, is_number, is_text, list_of
from blemish.formats.polygons import polygons_of
from blemish.formats.table import NO_TYPE, Annotated, Annotation, Box, Refused
from blemish.images import read as read_picture

LOOKED_FOR = "a folder of labelme's JSON files"
_CORNERS = 64
"""Of a circle."""


def read(place: Path) -> Iterator[Annotated | Refused]:
    """The pictures in the order of the files' names; paths are relative to each file."""
    files = sorted(place.rglob("*.json")) if place.is_dir() else [place]
    if not files:
        raise BadData(f"{place} holds no JSON file: wanted is {LOOKED_FOR}")
    yield from map(_picture, files)


def _picture(file: Path) -> Annotated | Refused:
    try:
        found: Any = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        return Refused("a file is no JSON that can be read", str(file), str(error)[:80])
    if not (isinstance(found, dict) and is_text(found.get("imagePath")) and isinstance(found.get("shapes"), list)):
        return Refused("a file has no imagePath or no shapes, as those of labelme have", str(file))
    width, height = (found[side] if is_count(found.get(side)) else 0 for side in ("imageWidth", "imageHeight"))
    regions = []
    for number, shape in enumerate(found["shapes"], start=1):
        region = _region(shape)
        if isinstance(region, str):
            return Refused(region, f"{file}, shape {number}")
        regions.append(region)
    path = file.parent / found["imagePath"].replace("\\", "/")
    return Annotated(str(path), width, height, regions)


def _region(shape: Any) -> Annotation | str:
    """A region, or what is wrong with it."""
    fits = (
        isinstance(shape, Mapping)
        and is_text(shape.get("label"))
        and list_of(list_of(is_number, 2))(shape.get("points"))
    )
    if not fits:
        return "a shape has no label or no points"
    name, kind, points = shape["label"], shape.get("shape_type", "polygon"), shape["points"]
    about = "" if name == NO_TYPE else name
    if kind == "polygon" and len(points) >= 3:
        return Annotation(about, [points])
    if kind in ("rectangle", "mask") and len(points) == 2:
        (x0, y0), (x1, y1) = points
        x, y = min(x0, x1), min(y0, y1)
        if kind == "mask":
            return _masked(about, shape.get("mask"), round(x), round(y))
        return Annotation(about, (), Box(x, y, abs(x1 - x0), abs(y1 - y0)))
    if kind == "circle" and len(points) == 2:
        (x, y), radius = points[0], dist(*points)
        turns = [2 * pi * corner / _CORNERS for corner in range(_CORNERS)]
        return Annotation(about, [[[x + radius * cos(turn), y + radius * sin(turn)] for turn in turns]])
    return f"a {kind} of {len(points)} points marks no area that is read"


def _masked(name: str, content: Any, x: int, y: int) -> Annotation | str:
    try:
        pixels = read_picture("mask.png", content=base64.b64decode(content, validate=True))
    except (ValueError, TypeError, BadImage):
        return "a mask is no picture that can be read"
    shapes = polygons_of(np.asarray(pixels.max(0) > 0), (x, y))
    return Annotation(name, shapes) if shapes else "a mask is empty"
