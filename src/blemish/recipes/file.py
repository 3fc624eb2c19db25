"""The file of a recipe: safetensors, whose metadata hold one JSON object; read without trust, written at once.

Reading calls nothing that the file names. It takes memory for the file's own bytes only: what the header says is
compared with the size of the file first.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from io import BufferedReader
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blemish.errors import BadRecipe

FORMAT = 4
"""Raised when a recipe of today could no longer be understood as it was meant."""

KEY = "blemish recipe"
LONGEST_HEADER = 1 << 25
"""Bytes: the names and hashes of about 200,000 pictures."""
BFLOAT16 = np.dtype([("bfloat16", np.uint16)])
"""The bits of bfloat16, which numpy does not know as numbers."""
TYPES = {
    "F16": np.dtype(np.float16),
    "BF16": BFLOAT16,
    "F32": np.dtype(np.float32),
    "F64": np.dtype(np.float64),
    "I64": np.dtype(np.int64),
    "U8": np.dtype(np.uint8),
}
NAMES = {kind: name for name, kind in TYPES.items()}
MOST_AXES = 6
COPY = "copy it again from where it came, or restore it from its .history folder"
FREEZE = "give a file that `blemish recipe freeze`, `train`, `tune` or `export` has written"


class Content(NamedTuple):
    """What a recipe's file holds: everything that decides its hash."""

    header: Mapping[str, Any]  # plain JSON values
    tensors: Mapping[str, NDArray[Any]]


def digest(content: Content) -> str:
    """sha256 over the canonical header and over the name, type, shape and bytes of every tensor."""
    total = sha256(_canonical({**content.header, "format": FORMAT}).encode())
    for name, tensor in sorted(content.tensors.items()):
        total.update(f"\0{name}\0{NAMES[tensor.dtype]}\0{list(tensor.shape)}\0".encode(errors="surrogatepass"))
        total.update(_bytes(tensor))
    return total.hexdigest()


def encode(content: Content) -> bytes:
    """The file; the same bytes for the same content."""
    text = _canonical({**content.header, "format": FORMAT, "hash": digest(content)})
    arrays = sorted(content.tensors.items(), key=lambda each: (-each[1].dtype.itemsize, each[0]))
    entries, end = dict[str, Any](__metadata__={KEY: text}), 0
    for name, array in arrays:  # the widest first, so that each begins at a multiple of its width
        ends = [end, end := end + array.nbytes]
        entries[name] = {"dtype": NAMES[array.dtype], "shape": list(array.shape), "data_offsets": ends}
    head = json.dumps(entries, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    return b"".join([len(head).to_bytes(8, "little"), head, *(_bytes(array) for _, array in arrays)])


def history(path: Path) -> Path:
    """The folder with what the file was before, each version under its hash."""
    return path.with_name(f"{path.name}.history")


def hash_of(path: Path) -> str:
    """The hash that a recipe's file says it has, looked up without reading its tensors; raises BadRecipe."""
    found = header_of(path).get("hash")
    if not isinstance(found, str) or not re.fullmatch("[0-9a-f]{64}", found):
        raise BadRecipe(f"{path} says no hash: {COPY}")
    return found


def header_of(path: Path) -> dict[str, Any]:
    """What a recipe's file says before its tensors, and that its hash alone vouches for; raises BadRecipe."""
    with _open(path) as file:
        return _header(_entries(file, path).pop("__metadata__", None), path)


def keep(path: Path, number: str, folder: Path) -> None:
    """Have the file of that hash in a folder as well, without taking room twice where the disk can do that."""
    target = folder / f"{number}.blemish"
    if target.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, target)
    except OSError:  # another disk, or one that knows no links
        shutil.copyfile(path, target)


def inherit(older: Path, folder: Path) -> None:
    """Have all versions of one history in another."""
    for file in sorted(older.glob("*.blemish")) if older != folder else ():
        keep(file, file.stem, folder)


def read(path: Path) -> Content:
    """Header and tensors; raises BadRecipe for what is unreadable, truncated, altered, newer, or something else."""
    with _open(path) as file:
        entries = _entries(file, path)
        header = _header(entries.pop("__metadata__", None), path)
        places = {name: _place(entry, name, path) for name, entry in entries.items()}
        _refuse_gaps(list(places.values()), os.fstat(file.fileno()).st_size - file.tell(), path)
        order = sorted(places, key=lambda name: (places[name].start, places[name].end))
        tensors = dict(sorted((name, _tensor(file, places[name], path)) for name in order))
    content = Content({name: value for name, value in header.items() if name not in ("format", "hash")}, tensors)
    try:
        found = digest(content)
    except RecursionError as error:
        raise BadRecipe(f"{path} has a header that is nested too deeply: {COPY}") from error
    if header.get("hash") != found:
        raise BadRecipe(f"{path} was altered after it was written, its content has another hash: {COPY}")
    return content


@contextmanager
def _open(path: Path) -> Iterator[BufferedReader]:
    try:
        if not path.is_file():
            raise BadRecipe(f"{path} is no file: {FREEZE}")
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise BadRecipe(f"{path} cannot be read ({error.strerror}): check the path and its permissions") from error


def _entries(file: BufferedReader, path: Path) -> dict[str, Any]:
    """What safetensors' header says; the file is left behind it."""
    size = os.fstat(file.fileno()).st_size
    start = file.read(9)
    length = int.from_bytes(start[:8], "little")
    if size < 9 or start[8:] != b"{" or length > LONGEST_HEADER:
        raise BadRecipe(f"{path} is not a recipe: {FREEZE}")
    if 8 + length > size:
        raise BadRecipe(f"{path} is truncated inside its header: {COPY}")
    file.seek(8)
    return _parse(file.read(length), path)


def _parse(text: bytes | str, path: Path) -> dict[str, Any]:
    """A JSON object without the values and repetitions that JSON does not have."""
    try:
        found = json.loads(
            text if isinstance(text, str) else text.decode(), parse_constant=_refuse, object_pairs_hook=_unique
        )
    except (ValueError, RecursionError) as error:
        raise BadRecipe(f"{path} has a damaged header ({str(error)[:80]}): {COPY}") from error
    if not isinstance(found, dict):
        raise BadRecipe(f"{path} has a header that is no object: {COPY}")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(found := dict(pairs)) != len(pairs):
        raise ValueError("a name comes twice")
    return found


def _header(metadata: Any, path: Path) -> dict[str, Any]:
    """Our JSON object in the metadata; its format is looked at before anything that a newer one may have changed."""
    if not isinstance(metadata, dict) or not isinstance(metadata.get(KEY), str):
        raise BadRecipe(f"{path} holds tensors, but is not a recipe: {FREEZE}")
    header = _parse(metadata[KEY], path)
    number = header.get("format")
    if type(number) is not int or number < 1:
        raise BadRecipe(f"{path} has a damaged header (its format is {str(number)[:20]}): {COPY}")
    if number > FORMAT:
        raise BadRecipe(
            f"{path} is of format {number}, and this blemish reads up to {FORMAT}: pip install --upgrade blemish"
        )
    if number < FORMAT:
        raise BadRecipe(
            f"{path} is of format {number}, which this blemish reads no longer: make it again from the same pictures "
            "by `blemish recipe freeze`, or use the version of blemish that wrote it"
        )
    return header


class _Place(NamedTuple):
    kind: str
    shape: tuple[int, ...]
    start: int
    end: int


def _place(entry: Any, name: str, path: Path) -> _Place:
    """Where a tensor lies and of what kind it is; its size agrees with its shape."""
    if isinstance(entry, dict) and set(entry) == {"dtype", "shape", "data_offsets"}:
        kind, shape, ends = entry["dtype"], entry["shape"], entry["data_offsets"]
        known = isinstance(kind, str) and kind in TYPES
        if known and _are_sizes(shape, MOST_AXES) and _are_sizes(ends, 2) and len(ends) == 2:
            number = math.prod(shape) * TYPES[kind].itemsize
            if number == ends[1] - ends[0] and math.prod(map(_at_least_one, shape)) < 1 << 48:
                return _Place(kind, tuple(shape), *ends)
    raise BadRecipe(f"{path} describes its tensor {name[:80]!r} in a way that makes no sense: {COPY}")


def _are_sizes(values: Any, most: int) -> bool:
    return isinstance(values, list) and len(values) <= most and all(type(v) is int and 0 <= v < 1 << 48 for v in values)


def _at_least_one(size: int) -> int:
    return max(size, 1)


def _refuse_gaps(places: list[_Place], size: int, path: Path) -> None:
    """Tensors must lie one behind the other and fill the rest of the file."""
    end = 0
    for place in sorted(places, key=lambda place: (place.start, place.end)):
        if place.start != end:
            raise BadRecipe(f"{path} has tensors that overlap or leave gaps: {COPY}")
        end = place.end
    if end > size:
        raise BadRecipe(f"{path} is truncated, {size} of {end} bytes of tensors are there: {COPY}")
    if end < size:
        raise BadRecipe(f"{path} goes on behind its last tensor: {COPY}")


def _tensor(file: BufferedReader, place: _Place, path: Path) -> NDArray[Any]:
    """The next one, in memory of its own: what lies in the file may lie at any byte."""
    found = np.empty(place.shape, TYPES[place.kind])
    if file.readinto(found.reshape(-1).view(np.uint8).data) != found.nbytes:
        raise BadRecipe(f"{path} was cut while it was read: {COPY}")
    return found


def _canonical(header: Mapping[str, Any]) -> str:
    return json.dumps(header, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _bytes(array: NDArray[Any]) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
