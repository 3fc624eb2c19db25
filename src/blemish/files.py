"""Files that are never half written, and places in which one run works at a time."""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import file_digest
from pathlib import Path
from typing import IO, Any, Self
from uuid import uuid4

from blemish.errors import BadData, CannotWrite

ELSEWHERE = "name another place"
LONGEST_NAME = 200
"""Bytes of a name that is made from another; file systems take 255."""
_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_HELD = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}  # what a system says of a lock that another holds


def sha256_of(path: Path) -> str:
    """Of the file's bytes, 64 hex digits."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def place_of(path: str | Path) -> str:
    """One spelling for all ways to write the path of a file: absolute, and without symbolic links."""
    return os.path.realpath(path)


def as_name(text: str) -> str:
    """The text as a part of a file's name: short enough, and its separators replaced."""
    flat = text.replace("/", "_").replace(os.sep, "_").replace("\0", "_")
    return os.fsencode(flat)[:LONGEST_NAME].decode(errors="ignore") or "_"


@contextmanager
def guard_write(place: Path, way_out: str = ELSEWHERE) -> Iterator[None]:
    """Raises CannotWrite where the system refuses: one line with the place, the reason and the way out."""
    try:
        yield
    except OSError as error:
        full = error.errno in _FULL
        reason = "the disk is full" if full else error.strerror or str(error)
        room = "make room, or " if full and way_out == ELSEWHERE else ""
        raise CannotWrite(f"{place} cannot be written ({reason}): {room}{way_out}") from error


def write(path: Path, data: bytes | memoryview | str, way_out: str = ELSEWHERE, *, lasting: bool = True) -> None:
    """Put the file in place at once: whoever reads meanwhile sees the old one or the new one, whole.

    lasting: also after a power cut, which takes time for each file.
    """
    with put_in_place(path, way_out) as beside, beside.open("xb") as file:
        _fill(file, data, lasting=lasting)


@contextmanager
def put_in_place(path: Path, way_out: str = ELSEWHERE) -> Iterator[Path]:
    """A place beside the file for what is to be in its place at once, when the block ends well."""
    path = Path(place_of(path))
    beside = path.with_name(f".{uuid4().hex}")
    with guard_write(path, way_out):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield beside
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


def _fill(file: IO[bytes], data: bytes | memoryview | str, *, lasting: bool) -> None:
    file.write(data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data)
    file.flush()
    if lasting:
        os.fsync(file.fileno())


@contextmanager
def write_text(path: Path) -> Iterator[IO[str]]:
    """A text file to be written piece by piece, which is put in place at once when the block ends well."""
    beside = path.with_name(f".{uuid4().hex}")
    with guard_write(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with beside.open("x", encoding="utf-8", newline="\n") as file:
                yield file
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


def reserve(path: Path, way_out: str = ELSEWHERE) -> None:
    """Room on the disk for all of a file that will be mapped; raises CannotWrite where there is less.

    What is written to a mapped file that has holes ends the process when the disk is full.
    """
    with guard_write(path, way_out), path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        if size and hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)


def write_json(path: Path, values: Any) -> None:
    """Plain values, for people and programs."""
    write(path, json.dumps(values, indent=2) + "\n")


class JsonLines:
    """Appends to a file of one JSON object a line, each written through before the next one is taken.

    A last line that was cut off is removed first, and one that does not fit on the disk is taken back.
    """

    def __init__(self, path: Path, *, fresh: bool = False, way_out: str = "make room and go on by --resume") -> None:
        self.path, self.fresh, self.way_out = path, fresh, way_out

    def __enter__(self) -> Self:
        with guard_write(self.path, self.way_out):
            self._file = self.path.open("wb" if self.fresh else "ab+", buffering=0)
            self._file.truncate(0 if self.fresh else _whole(self._file))
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, line: Mapping[str, Any]) -> None:
        """Write one line; raises CannotWrite and leaves the file as it was."""
        data, start = (json.dumps(line) + "\n").encode("ascii"), self._file.seek(0, os.SEEK_END)
        with guard_write(self.path, self.way_out):
            try:
                while data:
                    data = data[self._file.write(data) :]
            except OSError:
                self._file.truncate(start)
                raise

    def size(self) -> int:
        """Bytes."""
        return self._file.seek(0, os.SEEK_END)

    def clear(self) -> None:
        """Remove all lines."""
        self._file.truncate(0)


def _whole(file: IO[bytes]) -> int:
    """Bytes of the lines that have an end."""
    file.seek(0)
    return sum(len(line) for line in file if line.endswith(b"\n"))


def json_lines(path: Path, needed: Collection[str] = (), *, way_out: str = "remove it") -> Iterator[dict[str, Any]]:
    """The objects of a file of JSON lines, none if it is missing; raises BadData for one that is damaged.

    A last line that was cut off, where a run was stopped, is left out.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, text in enumerate(file, start=1):
            if not text.endswith(b"\n"):
                return
            line = _parsed(text)
            if not isinstance(line, dict) or not set(needed) <= line.keys():
                raise BadData(f"{path}, line {number} is damaged: {way_out}")
            yield line


def _parsed(text: bytes) -> Any:
    """A line's value, None where it is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Makes the folder, and keeps other runs out of it; raises CannotWrite before anything else is done.

    The lock goes with its process, however that ends. A folder in which nothing was left is removed again.
    """
    made = not folder.exists()
    with guard_write(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with _locked(folder / ".lock", folder):
            yield
    finally:
        with suppress(OSError):
            if made:
                folder.rmdir()


@contextmanager
def alone_at(file: Path) -> Iterator[None]:
    """As `alone_in`, for one file that is to be written."""
    made = not file.parent.exists()
    with guard_write(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
    try:
        with _locked(file.with_name(f".{as_name(file.name)}.lock"), file):
            yield
    finally:
        with suppress(OSError):
            if made:
                file.parent.rmdir()


@contextmanager
def _locked(path: Path, place: Path) -> Iterator[None]:
    with guard_write(place):
        file = _held(path, place)
    try:
        yield
    finally:
        with suppress(OSError):  # Windows does not remove what is open
            path.unlink()
        file.close()


def _held(path: Path, place: Path) -> IO[bytes]:
    """The open lock; one that its holder removed meanwhile is made anew."""
    while True:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "rb+", buffering=0)
        try:
            _hold(file, place)
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        except BaseException:
            file.close()
            raise
        file.close()


def _hold(file: IO[bytes], place: Path) -> None:
    try:
        _lock(file)
    except OSError as error:
        if error.errno not in _HELD:
            return  # a disk that knows no locks
        file.seek(0)
        owner = file.read(200).decode(errors="replace").strip() or "another process"
        said = f"{place} is being written by another run ({owner}): wait for it, or name another place"
        raise CannotWrite(said) from error
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}\n".encode())


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> None:
        file.seek(1 << 20)  # behind what is read
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)
else:
    import fcntl

    def _lock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
