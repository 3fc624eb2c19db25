"""Pictures with regions, as a run finds them and as people draw them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from blemish.formats.table import Annotated, Annotation, Box

WIDTH, HEIGHT = 80, 60
CRACK = [[10, 10], [30, 10], [30, 14], [14, 14], [14, 40], [10, 40]]
STAIN = [[50, 20], [70, 20], [70, 30], [50, 30]]


def picture(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(100, 140, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def region(contour: Sequence[Sequence[int]], kind: str | None, score: float) -> dict[str, Any]:
    """As a line of results.jsonl lists it."""
    xs, ys = zip(*contour, strict=True)
    box = {"x": min(xs), "y": min(ys), "width": max(xs) - min(xs), "height": max(ys) - min(ys)}
    return {"box": box, "area": 1, "score": score, "mean": score, "contour": list(contour), "type": kind}


def run(folder: Path) -> Path:
    """A folder as `blemish inspect --out` leaves it, of four pictures: crack and stain, no name, good, for review."""
    parts = folder.parent / "parts"
    rows: list[tuple[str, str, list[dict[str, Any]], list[str]]] = [
        ("a.png", "reject", [region(CRACK, "crack", 0.75), region(STAIN, "stain", 0.5)], ["crack", "stain"]),
        ("deep/b.png", "reject", [region(STAIN, None, 0.625)], []),
        ("c.png", "accept", [], []),
        ("d.png", "review", [], ["crack"]),
    ]
    lines = []
    for seed, (name, verdict, regions, types) in enumerate(rows):
        file = picture(parts / name, seed)
        line = {"path": str(file), "score": 0.125 * (4 - seed), "size": {"width": WIDTH, "height": HEIGHT}}
        line |= {"verdict": verdict, "regions": regions, "file": str(file), "method": "tab", "seconds": {"detect": 0.1}}
        lines.append(line | ({"types": types} if types else {}))
    folder.mkdir(parents=True)
    (folder / "results.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def plain(found: Annotated, *, scores: bool = True) -> tuple[Any, ...]:
    """What a picture says, to be compared: coordinates to a thousandth of a pixel, without where it lies."""
    regions = [_plain(each, scores=scores) for each in found.regions]
    more = (found.score, found.verdict, tuple(found.types)) if scores else ()
    return (found.place.name, found.width, found.height, regions, *more)


def _plain(each: Annotation, *, scores: bool) -> tuple[Any, ...]:
    polygons = [[(round(float(x), 3), round(float(y), 3)) for x, y in outline] for outline in each.polygons]
    box = Box(*(round(float(value), 3) for value in each.box))
    return (each.type, polygons, box, *((each.score,) if scores else ()))
