"""The folder that `blemish inspect` leaves -> the table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from blemish.errors import BadData
from blemish.files import json_lines
from blemish.formats.table import Annotated, Annotation, Box

NEEDED = ("path", "score", "size")


def read_run(folder: Path) -> Iterator[Annotated]:
    """The pictures of `results.jsonl` in order; where nothing was calibrated, verdict and regions are the suggested."""
    results = folder / "results.jsonl" if folder.is_dir() else folder
    if (folder / "batch.json").exists() and not results.exists():
        raise BadData(f"{folder} holds a batch, in parts: make one run of it by `blemish merge {folder} --out RUN`")
    if not results.exists():
        raise BadData(f"{folder} holds no run: name the folder that `blemish inspect --out` wrote")
    for number, line in enumerate(json_lines(results, NEEDED), start=1):
        try:
            yield _picture(line)
        except (KeyError, TypeError, AttributeError) as error:
            raise BadData(f"{results}, line {number} is damaged: inspect again") from error


def _picture(line: Mapping[str, Any]) -> Annotated:
    decided = line if "verdict" in line else line.get("suggested") or {}
    return Annotated(
        path=line["path"],
        width=line["size"]["width"],
        height=line["size"]["height"],
        regions=_regions(decided.get("regions") or ()),
        score=line["score"],
        verdict=decided.get("verdict", ""),
        types=tuple(line.get("types") or ()),
        file=line.get("file", ""),
    )


def _regions(found: Sequence[Mapping[str, Any]]) -> list[Annotation]:
    return [
        Annotation(
            each.get("type") or "",
            [each["contour"]] if each.get("contour") else (),
            Box(*(each["box"][side] for side in Box._fields)),
            each.get("score"),
        )
        for each in found
    ]
