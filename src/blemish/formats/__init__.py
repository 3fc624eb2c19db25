"""Annotations in the formats of other programs: `write` and `read` are the doors, one file a format.

All formats meet in one table, `table.Annotated`: a picture with its regions. What reads a format yields pictures one by
one, and what writes one takes them so, so memory does not depend on how many there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from blemish.errors import UnknownName

if TYPE_CHECKING:
    from blemish.formats.table import Annotated, Pictures, Refused, Survey

WRITTEN = {
    "coco": "blemish.formats.coco",
    "yolo": "blemish.formats.yolo",
    "labelstudio": "blemish.formats.labelstudio",
    "cvat": "blemish.formats.cvat",
    "fiftyone": "blemish.formats.fiftyone",
    "supervision": "blemish.formats.supervision",
}
READ = {name: WRITTEN[name] for name in ("coco", "yolo", "labelstudio", "cvat")} | {
    "labelme": "blemish.formats.labelme"
}


class WrittenFormat(Protocol):
    """What the file of a format provides that is written."""

    CANNOT_HOLD: str  # what of a run it has no place for, a sentence; "" where it holds everything

    def write(self, table: Pictures, survey: Survey, out: Path) -> None:
        """Into a folder that is there and empty; raises BadInput for what the format cannot hold at all."""
        ...


class ReadFormat(Protocol):
    """What the file of a format provides that is read."""

    LOOKED_FOR: str  # what `read` is given, for messages

    def read(self, place: Path) -> Iterator[Annotated | Refused]:
        """The pictures of a file or folder in order, and what is wrong; raises BadData for what is not this format."""
        ...


def written_format(name: str) -> WrittenFormat:
    """By name; UnknownName lists them."""
    return cast(WrittenFormat, _load(name, WRITTEN))


def read_format(name: str) -> ReadFormat:
    """By name; UnknownName lists them."""
    return cast(ReadFormat, _load(name, READ))


def _load(name: str, known: dict[str, str]) -> object:
    if name not in known:
        raise UnknownName(f"format {name!r} does not exist: choose one of {', '.join(known)}")
    return import_module(known[name])
