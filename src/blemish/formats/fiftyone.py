"""FiftyOne: `samples.json` of `fiftyone.types.LegacyFiftyOneDataset`, which its importer takes as it stands.

A sample has `regions` (Polylines), `boxes` (Detections), and `verdict`, `types` and `score` of the picture. All places
are shares of the picture's sides. Pictures stay where they are.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from blemish.files import write_json
from blemish.formats.json_stream import write_lists
from blemish.formats.table import NO_TYPE, Annotated, Annotation, Pictures, Survey

CANNOT_HOLD = ""
NAME = "samples.json"


def write(table: Pictures, survey: Survey, out: Path) -> None:
    """`samples.json` and `metadata.json`."""
    with write_lists(out / NAME, "samples") as lists:
        for picture in table():
            lists["samples"].add(_sample(picture))
    write_json(out / "metadata.json", {"name": "blemish", "media_type": "image", "info": {"classes": survey.types}})


def _sample(picture: Annotated) -> dict[str, Any]:
    about = {"_cls": "ImageMetadata", "width": picture.width, "height": picture.height}
    verdict = {"_cls": "Classification", "label": picture.verdict, "tags": []}
    types = {"_cls": "Classifications", "classifications": [
        {"_cls": "Classification", "label": name, "tags": []} for name in picture.types
    ]}  # fmt: skip
    return {
        "filepath": os.path.abspath(picture.place),
        "tags": [],
        "metadata": about,
        "score": picture.score,
        "verdict": verdict if picture.verdict else None,
        "types": types if picture.types else None,
        "boxes": {"_cls": "Detections", "detections": [_detection(each, picture) for each in picture.regions]},
        "regions": {
            "_cls": "Polylines",
            "polylines": [_polyline(each, picture) for each in picture.regions if each.polygons],
        },
    }


def _detection(region: Annotation, picture: Annotated) -> Mapping[str, Any]:
    x, y, width, height = region.box
    shares = [x / picture.width, y / picture.height, width / picture.width, height / picture.height]
    return _label("Detection", region) | {"bounding_box": shares}


def _polyline(region: Annotation, picture: Annotated) -> Mapping[str, Any]:
    points = [[[x / picture.width, y / picture.height] for x, y in outline] for outline in region.polygons]
    return _label("Polyline", region) | {"points": points, "closed": True, "filled": True}


def _label(kind: str, region: Annotation) -> dict[str, Any]:
    return {"_cls": kind, "label": region.type or NO_TYPE, "tags": [], "attributes": {}, "confidence": region.score}
