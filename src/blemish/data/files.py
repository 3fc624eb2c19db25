"""What the readers of layouts share: listing, choosing a category, asking for a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from blemish.errors import BadData, UnknownName
from blemish.images import SUFFIXES
from blemish.types import GOOD

NORMAL_NAMES = {"good", "normal", "ok"}


def is_picture(path: Path) -> bool:
    """Whether a file's name ends like a picture's and is not hidden."""
    return path.suffix.lower() in SUFFIXES and path.name[0] != "."


def pictures(folder: Path) -> list[Path]:
    """Picture files directly in a folder, by name; none when there is no such folder."""
    if not folder.is_dir():
        return []
    paths = (folder / name for name in sorted(os.listdir(folder)))  # names are sorted faster than paths
    return [path for path in paths if is_picture(path)]


def folders(folder: Path) -> list[Path]:
    """Folders directly in a folder, by name, hidden ones left out; none when there is no such folder."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as found:  # which knows what is a folder without a second look
        names = sorted(each.name for each in found if each.name[0] != "." and each.is_dir())
    return [folder / name for name in names]


def label_of(name: str) -> str:
    """The label that a folder's or table's word stands for: good, normal and ok in any case are GOOD."""
    return GOOD if name.lower() in NORMAL_NAMES else name


def choose(found: Sequence[str], category: str | None) -> list[str]:
    """The named category, or all of them when it is None; UnknownName lists those found."""
    if category is None:
        return list(found)
    if category not in found:
        have = f"choose one of {', '.join(found)}" if found else "this data set has no categories, so name none"
        raise UnknownName(f"category {category!r} does not exist here: {have}")
    return [category]


def require_file(folder: Path, name: str, source: str) -> Path:
    """The file of that name, which may be written with Windows' separators; BadData tells which list names it."""
    for path in (folder / name, folder / name.replace("\\", "/")):
        if path.is_file():
            return path
    raise BadData(f"{source} names {folder / name}, which does not exist: complete the data set or correct the entry")
