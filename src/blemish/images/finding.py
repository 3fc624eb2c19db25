"""Which pictures are meant by files, folders and globs."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from blemish.errors import BadImage
from blemish.files import place_of
from blemish.images.reading import SUFFIXES


def find(paths: Iterable[str | Path]) -> list[Path]:
    """Pictures in the order named, each once, however its path is spelled: files as they are, folders and globs as the
    sorted pictures they hold. A path that exists is no glob, nor is the part of one that does.

    A folder is searched to any depth for names that end like a picture's; hidden files and folders are skipped.
    A name, a folder or a glob that leads to no picture is a BadImage.
    """
    found: dict[str, Path] = {}
    for path in paths:
        for picture in _expanded(path):
            found.setdefault(place_of(picture), picture)
    return list(found.values())


def _expanded(path: str | Path) -> list[Path]:
    if os.path.isdir(path):
        return _inside(Path(path))
    if os.path.exists(path):
        return [Path(path)]
    if str(path).startswith("file://"):
        return _expanded(str(path).removeprefix("file://"))
    if "://" in str(path):
        by_batch = f"`blemish batch {path} --recipe FILE --out DIR`, with --shard K/N for a share of it"
        raise BadImage(f"{path} does not lie on this machine: copy it here, or inspect it by {by_batch}")
    if not glob.has_magic(str(path)):
        raise BadImage(f"{path} does not exist: check the name and the folder it is in")
    matches = sorted(Path(match) for match in glob.glob(_pattern(Path(path)), recursive=True))
    pictures = [match for match in matches if match.is_file() and _is_picture(match.name)]
    if not pictures:
        raise BadImage(f"{path} matches no picture ({', '.join(SUFFIXES)}): check the pattern")
    return pictures


def _pattern(path: Path) -> str:
    """The glob, with every folder at its beginning that exists taken as it is written."""
    there = next(folder for folder in (*path.parents, Path()) if folder.exists())
    return str(Path(glob.escape(str(there)), path.relative_to(there)))


def _inside(folder: Path) -> list[Path]:
    pictures = []
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        pictures += [Path(root, name) for name in names if _is_picture(name)]
    if not pictures:
        raise BadImage(f"{folder} holds no picture ({', '.join(SUFFIXES)}): check the folder, or name the files")
    return sorted(pictures)


def _is_picture(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")
