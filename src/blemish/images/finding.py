"""Which pictures are meant by files, folders and globs."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from blemish.errors import BadImage
from blemish.images.reading import SUFFIXES


def find(paths: Iterable[str | Path]) -> list[Path]:
    """Pictures in the order named, each once: files as they are, folders and globs as the sorted pictures they hold.

    A folder is searched to any depth for names that end like a picture's; hidden files and folders are skipped.
    A name, a folder or a glob that leads to no picture is a BadImage.
    """
    return list(dict.fromkeys(picture for path in paths for picture in _expanded(path)))


def _expanded(path: str | Path) -> list[Path]:
    if os.path.isdir(path):
        return _inside(Path(path))
    if os.path.exists(path):
        return [Path(path)]
    if not glob.has_magic(str(path)):
        raise BadImage(f"{path} does not exist: check the name and the folder it is in")
    matches = sorted(Path(match) for match in glob.glob(str(path), recursive=True))
    pictures = [match for match in matches if match.is_file() and _is_picture(match.name)]
    if not pictures:
        raise BadImage(f"{path} matches no picture ({', '.join(SUFFIXES)}): check the pattern")
    return pictures


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
