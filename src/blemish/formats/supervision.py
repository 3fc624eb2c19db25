"""supervision: `detections.jsonl`, a line a picture, which `detections_of` makes `supervision.Detections` of.

A line has what that class is made of, https://supervision.roboflow.com/latest/detection/core: `xyxy`, `confidence`,
`class_id`, `data.class_name` and `data.polygons`, and in `metadata` the picture's path, size, score, verdict and types.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from blemish.errors import MissingExtra
from blemish.files import write_text
from blemish.formats.polygons import fill_polygons
from blemish.formats.table import NO_TYPE, Annotated, Pictures, Survey

if TYPE_CHECKING:
    import supervision

CANNOT_HOLD = ""
NAME = "detections.jsonl"


def write(table: Pictures, survey: Survey, out: Path) -> None:
    """`detections.jsonl`."""
    with write_text(out / NAME) as file:
        file.writelines(json.dumps(_line(picture, survey)) + "\n" for picture in table())


def _line(picture: Annotated, survey: Survey) -> dict[str, Any]:
    boxes = [each.box for each in picture.regions]
    return {
        "xyxy": [[x, y, x + width, y + height] for x, y, width, height in boxes],
        "confidence": [each.score for each in picture.regions],
        "class_id": [survey.number(each) for each in picture.regions],
        "data": {
            "class_name": [each.type or NO_TYPE for each in picture.regions],
            "polygons": [list(each.polygons) for each in picture.regions],
        },
        "metadata": {
            "path": str(picture.place),
            "size": [picture.width, picture.height],
            "score": picture.score,
            "verdict": picture.verdict,
            "types": list(picture.types),
        },
    }


def detections_of(line: Mapping[str, Any], *, masks: bool = True) -> supervision.Detections:
    """What a line holds; `masks` (N, H, W) are drawn of its polygons, and boxes without one are filled.

    Raises MissingExtra without supervision.
    """
    try:
        from supervision import Detections
    except ImportError as error:
        raise MissingExtra("this needs supervision: pip install supervision") from error
    if not line["xyxy"]:
        return Detections(xyxy=np.empty((0, 4)), class_id=np.empty(0, int), metadata=dict(line["metadata"]))
    known = [score for score in line["confidence"] if score is not None]
    return Detections(
        xyxy=np.array(line["xyxy"], np.float64),
        mask=_masks(line) if masks else None,
        confidence=np.array(line["confidence"], np.float64) if len(known) == len(line["xyxy"]) else None,
        class_id=np.array(line["class_id"], int),
        data={"class_name": np.array(line["data"]["class_name"])},
        metadata=dict(line["metadata"]),
    )


def _masks(line: Mapping[str, Any]) -> Any:
    width, height = line["metadata"]["size"]
    masks = np.zeros((len(line["xyxy"]), height, width), bool)
    outlines = list[tuple[int, Any]]()
    for number, ((x, y, right, down), polygons) in enumerate(zip(line["xyxy"], line["data"]["polygons"], strict=True)):
        box = [[x, y], [right, y], [right, down], [x, down]]
        outlines += [(number, each) for each in polygons or [box]]
    fill_polygons(masks, [each for _, each in outlines], [number for number, _ in outlines])
    return masks
