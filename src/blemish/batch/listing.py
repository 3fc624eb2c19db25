"""What a source holds -> pieces, each the work of one part of the results; no list of all pictures is ever held."""

from __future__ import annotations

import heapq
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile

from blemish.batch.archives import Piece, container_of, contents, names_inside
from blemish.batch.stores import explain, is_url, local, system_of
from blemish.errors import BadImage
from blemish.images import SUFFIXES, find

MOST_SORTED = 20_000
"""Names that are sorted in memory; more are sorted on the disk."""
Keep = Callable[[str], bool]
_MAGIC = frozenset("*?[")


def pieces(source: str, size: int, keep: Keep) -> Iterator[Piece]:
    """Pictures in the order of their paths, so many a piece, and of archives and tables at least one each.

    keep: whether a picture, or what is read as a whole, is in this shard. Raises BadImage where there is none, and
    BadInput for a place that cannot be read.
    """
    found, waiting = False, list[str]()
    for name in names(source):
        found = True
        if container_of(name) is None:
            waiting += [name] if keep(name) else []
        if waiting and (container_of(name) or len(waiting) == size):
            yield Piece("files", "", tuple(waiting))
            waiting = []
        if container_of(name):
            yield from contents(name, size, keep)
    if waiting:
        yield Piece("files", "", tuple(waiting))
    if not found:
        raise BadImage(f"{source} holds no picture ({', '.join(SUFFIXES)}): check the folder, or name the files")


def picture_names(source: str) -> Iterator[str]:
    """Of every picture, as results call it; tars and Arrow files are read through for it. Raises as `pieces` does."""
    for piece in pieces(source, MOST_SORTED, lambda name: True):
        yield from names_inside(piece)


def names(source: str) -> Iterator[str]:
    """Paths or URLs of pictures, archives and tables."""
    source = local(source)
    if is_url(source):
        return _elsewhere(source)
    if os.path.isdir(source):
        return _inside(source)
    if os.path.exists(source) and container_of(source):
        return iter([source])
    return map(str, find([source]))


def _is_wanted(name: str) -> bool:
    last = name.rpartition("/")[2].rpartition(os.sep)[2]
    if last.startswith("cache-") and last.endswith(".arrow"):
        return False  # what Hugging Face's datasets keep of what was made of a data set
    return not last.startswith(".") and (last.lower().endswith(SUFFIXES) or container_of(last) is not None)


def _inside(folder: str) -> Iterator[str]:
    """To any depth, in the order in which `images.find` sorts them; hidden ones are left out."""
    with explain(folder), os.scandir(folder) as entries:
        for name, is_folder in map(_decoded, _in_order(map(_coded, entries))):
            path = str(Path(folder, name))
            if is_folder and not name.startswith("."):
                yield from _inside(path)
            elif is_folder is False and _is_wanted(name):
                yield path


def _coded(entry: os.DirEntry[str]) -> str:
    """A name and what it is of, as one text, which takes less memory; a zero is in no name, and comes before all."""
    return f"{entry.name}\0{'link' if entry.is_dir() and entry.is_symlink() else 'folder' if entry.is_dir() else ''}"


def _decoded(text: str) -> tuple[str, bool | None]:
    """A name, and whether it is a folder; neither of a link to one, which may lead back."""
    name, _, kind = text.partition("\0")
    return name, {"": False, "folder": True}.get(kind)


def _in_order(texts: Iterable[str]) -> Iterator[str]:
    """Sorted, on the disk where there are many."""
    left, runs = iter(texts), list[Iterator[str]]()
    with ExitStack() as stack:
        while some := sorted(islice(left, MOST_SORTED)):
            if not runs and len(some) < MOST_SORTED:
                yield from some
                return
            file = stack.enter_context(TemporaryFile("w+", encoding="ascii"))
            file.writelines(json.dumps(each) + "\n" for each in some)
            file.seek(0)
            runs.append(map(json.loads, file))
        yield from heapq.merge(*runs)


def _elsewhere(url: str) -> Iterator[str]:
    system, path = system_of(url)
    with explain(url, "listed"):
        if _MAGIC & set(path):
            found = system.glob(path)
        elif _is_wanted(path.rstrip("/")):
            found = [path] if system.info(path) else []
        else:
            found = system.find(path) or system.ls(path, detail=False)  # which says why there is nothing
    inside = len(path.rstrip("/"))
    for name in sorted(found, key=lambda each: str(each).split("/")):
        hidden = any(each.startswith(".") for each in name[inside:].split("/"))
        if not hidden and _is_wanted(name):
            yield str(system.unstrip_protocol(name))
