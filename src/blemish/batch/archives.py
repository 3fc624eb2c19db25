"""Pieces of work, and the pictures of one: files, and members of zips, tars, Parquet files and Arrow files.

A data set of Hugging Face on disk is a folder of Arrow or Parquet files. A picture inside is called by its archive and
its name there, or the number of its row: `line3.zip/a.png`, `train-0.parquet/17`.
"""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, Self

from blemish.batch.stores import explain, fetch, is_url, open_binary
from blemish.batch.tables import arrow_pictures, groups, parquet_pictures, rows_of_group
from blemish.errors import BadImage, BadInput
from blemish.images import SUFFIXES, Source, decode, source_of

Kind = Literal["files", "zip", "tar", "parquet", "arrow"]
_ENDS: dict[str, Kind] = {
    ".zip": "zip", ".tar": "tar", ".tar.gz": "tar", ".tgz": "tar", ".parquet": "parquet", ".arrow": "arrow",
}  # fmt: skip
FETCHED_AT_ONCE, AHEAD = 16, 48
"""Files that are asked for at once where they lie elsewhere, and that wait to be inspected."""
COPY_AGAIN = "copy it again from where it came"


class Piece(NamedTuple):
    """The pictures of one part of the results."""

    kind: Kind
    at: str  # the archive or table; "" for files
    names: tuple[str, ...] = ()  # of files, and of what a zip holds; all that it holds of others
    group: int = 0  # of a Parquet: which of its row groups


def container_of(name: str) -> Kind | None:
    """What holds pictures, by the end of its name; nothing for a picture."""
    return next((kind for end, kind in _ENDS.items() if name.lower().endswith(end)), None)


def contents(at: str, size: int, keep: Callable[[str], bool]) -> Iterator[Piece]:
    """The pieces of an archive or table that a shard keeps; raises BadInput where it is none or holds no pictures."""
    kind = container_of(at)
    if kind == "zip":
        members = [each for each in _members(at) if keep(f"{at}/{each}")]
        yield from (Piece("zip", at, tuple(members[i : i + size])) for i in range(0, len(members), size))
    elif kind == "parquet":
        with explain(at), open_binary(at) as file:
            yield from (Piece("parquet", at, (), group) for group in groups(file, at) if keep(f"{at}/{group}"))
    elif kind is not None and keep(at):
        yield Piece(kind, at)


def pictures(piece: Piece) -> Iterator[Path | Source]:
    """Those of a piece, read ahead; what has vanished or is damaged is there as a source that says so.

    Raises BadInput where a store that was there does not answer.
    """
    try:
        with explain(piece.at or "the first picture"):
            yield from _READERS[piece.kind](piece)
    except BadImage as error:
        yield Source(error, piece.at)


def names_inside(piece: Piece) -> Iterator[str]:
    """What the results call the pictures of a piece; raises as `pictures` does."""
    if piece.names:
        yield from (f"{piece.at}/{each}" if piece.at else each for each in piece.names)
    elif piece.kind == "parquet":
        with explain(piece.at), open_binary(piece.at) as file:
            yield from (f"{piece.at}/{row}" for row in rows_of_group(file, piece.at, piece.group))
    else:
        yield from (source_of(each).id for each in pictures(piece))


def _files(piece: Piece) -> Iterator[Path | Source]:
    if not any(map(is_url, piece.names)):
        yield from map(Path, piece.names)
        return
    for url, found in decode(piece.names, fetch, threads=FETCHED_AT_ONCE, ahead=AHEAD):
        yield Source(found, url)


def _members(at: str) -> list[str]:
    try:
        with explain(at), open_binary(at) as file, zipfile.ZipFile(file) as archive:
            return [each for each in archive.namelist() if _is_picture(each)]
    except (BadInput, BadImage) as error:
        if isinstance(error.__cause__, zipfile.BadZipFile):
            raise BadInput(f"{at} is no zip, or is cut off ({error.__cause__}): {COPY_AGAIN}") from error
        raise


def _zip(piece: Piece) -> Iterator[Source]:
    with open_binary(piece.at) as file, zipfile.ZipFile(file) as archive:
        for name in piece.names:
            yield Source(_member(archive, name, f"{piece.at}/{name}"), f"{piece.at}/{name}")


def _member(archive: zipfile.ZipFile, name: str, called: str) -> bytes | BadImage:
    try:
        return archive.read(name)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, KeyError, EOFError) as error:
        return BadImage(f"{called} cannot be read from its zip ({error}): {COPY_AGAIN}")


class _WholeHeader(tarfile.TarInfo):
    """A header that is cut off is an error, which tarfile takes for the end; a tar ends with two blocks of zeros."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        """As of tarfile."""
        try:
            return super().fromtarfile(archive)
        except tarfile.HeaderError as error:
            if type(error).__name__ == "EOFHeaderError":
                raise
            raise tarfile.ReadError(f"after {archive.offset} bytes, {error}") from error


def _tar(piece: Piece) -> Iterator[Source]:
    """One after the other as they come, so that nothing is asked for twice."""
    count = 0
    with open_binary(piece.at) as file:
        try:
            for name, data in _members_of_tar(file):
                yield Source(data, f"{piece.at}/{name}")
                count += 1
        except (tarfile.TarError, EOFError, zlib.error) as error:
            why = f"{piece.at} is damaged or cut off behind picture {count} ({error}): {COPY_AGAIN}"
            yield Source(BadImage(why), piece.at)


def _members_of_tar(file: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=file, mode="r|*", tarinfo=_WholeHeader) as archive:
        for member in archive:
            inside = archive.extractfile(member) if member.isfile() and _is_picture(member.name) else None
            data = inside.read() if inside else b""
            if inside and len(data) < member.size:
                raise tarfile.ReadError("unexpected end of data")
            if inside:
                yield member.name, data


def _is_picture(name: str) -> bool:
    last = name.rpartition("/")[2]
    return last.lower().endswith(SUFFIXES) and not last.startswith(".")


def _parquet(piece: Piece) -> Iterator[Source]:
    with open_binary(piece.at) as file:
        yield from parquet_pictures(file, piece.at, piece.group)


def _arrow(piece: Piece) -> Iterator[Source]:
    with open_binary(piece.at) as file:
        yield from arrow_pictures(file, piece.at)


_READERS: dict[Kind, Callable[[Piece], Iterator[Any]]] = {
    "files": _files, "zip": _zip, "tar": _tar, "parquet": _parquet, "arrow": _arrow,
}  # fmt: skip
