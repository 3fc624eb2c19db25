"""Where the results go: a folder here, or one of an object store by its URL; whatever is put there is there at once."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Protocol

from blemish.batch.stores import EXTRAS, explain, is_url, local, protocol_of, system_of
from blemish.errors import BadData, BadInput, CannotWrite
from blemish.files import alone_in, guard_write, put_in_place, write

LOCK, STALE, RENEWED = ".lock", 90.0, 20.0
"""Seconds after which the lock of a driver that has gone holds no longer, and after which one that works renews it."""


class Target(Protocol):
    """A place of files by names such as results/part-00000001.jsonl."""

    place: str

    def alone(self) -> AbstractContextManager[None]:
        """No other driver writes there meanwhile; raises CannotWrite."""

    def put(self, name: str, text: str) -> None:
        """Write a file."""

    def read(self, name: str) -> str:
        """What a file holds; raises BadData where there is none."""

    def has(self, name: str) -> bool:
        """Whether there is such a file."""

    def listed(self, folder: str) -> list[str]:
        """The names of the files in a folder, sorted; none where there is no folder."""

    def clear(self, folder: str) -> None:
        """Remove a folder with all that it holds."""

    def tidy(self, folder: str) -> None:
        """Remove files that were not put in place before whoever wrote them died."""

    def written(self, name: str) -> AbstractContextManager[Path]:
        """A place on this machine to write to; its file is put there when the block ends well."""

    def copied(self, name: str) -> AbstractContextManager[Path]:
        """A file as one of this machine."""

    def whole(self) -> AbstractContextManager[Path]:
        """All of it as a folder of this machine; raises BadInput where there is none."""


def target_of(place: str) -> Target:
    """Of a path or a URL."""
    place = local(place)
    return _Bucket(place) if is_url(place) else _Folder(place)


class _Folder:
    def __init__(self, place: str) -> None:
        self.place, self._home = place, Path(place)

    def alone(self) -> AbstractContextManager[None]:
        return alone_in(self._home)

    def put(self, name: str, text: str) -> None:
        write(self._home / name, text)

    def read(self, name: str) -> str:
        try:
            return (self._home / name).read_text(encoding="utf-8")
        except OSError as error:
            raise _missing(self.place, name) from error

    def has(self, name: str) -> bool:
        return (self._home / name).is_file()

    def listed(self, folder: str) -> list[str]:
        there = self._home / folder
        return sorted(each for each in os.listdir(there) if not each.startswith(".")) if there.is_dir() else []

    def clear(self, folder: str) -> None:
        with guard_write(self._home / folder):
            shutil.rmtree(self._home / folder, ignore_errors=True)

    def tidy(self, folder: str) -> None:
        with guard_write(self._home / folder):
            for each in (self._home / folder).glob(".*"):
                each.unlink(missing_ok=True)

    def written(self, name: str) -> AbstractContextManager[Path]:
        return put_in_place(self._home / name)

    @contextmanager
    def copied(self, name: str) -> Iterator[Path]:
        yield self._home / name

    @contextmanager
    def whole(self) -> Iterator[Path]:
        if not self._home.is_dir():
            raise BadInput(f"{self.place} is no folder: check the name")
        yield self._home


class _Bucket:
    def __init__(self, place: str) -> None:
        self.place = place.rstrip("/")
        self._system, self._home = system_of(self.place)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """By a file that is renewed; between two drivers that begin in one moment it does not decide."""
        self._refuse_another()
        self._renew()
        ended = Event()
        thread = Thread(target=self._keep, args=(ended,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            with explain(self.place, "written"):
                self._system.rm_file(self._path(LOCK))

    def put(self, name: str, text: str) -> None:
        with explain(self.place, "written"):
            self._make_folder(name)
            self._system.pipe_file(self._path(name), text.encode())

    def read(self, name: str) -> str:
        with explain(f"{self.place}/{name}"):
            try:
                return bytes(self._system.cat_file(self._path(name))).decode()
            except FileNotFoundError as error:
                raise _missing(self.place, name) from error

    def has(self, name: str) -> bool:
        with explain(self.place):
            return bool(self._system.exists(self._path(name)))

    def listed(self, folder: str) -> list[str]:
        with explain(self.place, "listed"):
            found = self._system.find(self._path(folder)) if self._system.exists(self._path(folder)) else []
        return sorted(name.rpartition("/")[2] for name in found)

    def clear(self, folder: str) -> None:
        with explain(self.place, "written"):
            if self._system.exists(self._path(folder)):
                self._system.rm(self._path(folder), recursive=True)

    def tidy(self, folder: str) -> None:
        """Nothing is written there before it is whole."""

    @contextmanager
    def written(self, name: str) -> Iterator[Path]:
        with TemporaryDirectory() as folder:
            file = Path(folder, "part")
            yield file
            with explain(self.place, "written"):
                self._make_folder(name)
                self._system.put_file(str(file), self._path(name))

    @contextmanager
    def copied(self, name: str) -> Iterator[Path]:
        with TemporaryDirectory() as folder, explain(f"{self.place}/{name}"):
            self._system.get_file(self._path(name), str(Path(folder, "part")))
            yield Path(folder, "part")

    @contextmanager
    def whole(self) -> Iterator[Path]:
        with TemporaryDirectory() as folder:
            with explain(self.place):
                self._system.get(f"{self._home.rstrip('/')}/", f"{folder}/whole", recursive=True)
            yield Path(folder, "whole")

    def _path(self, name: str) -> str:
        return f"{self._home.rstrip('/')}/{name}"

    def _make_folder(self, name: str) -> None:
        """Where there are folders: an object store has none, and would make a bucket of a name that is misspelt."""
        if protocol_of(self.place) not in EXTRAS:
            self._system.makedirs(self._path(name).rpartition("/")[0], exist_ok=True)

    def _refuse_another(self) -> None:
        if not self.has(LOCK):
            return
        try:
            held = json.loads(self.read(LOCK))
            age, owner = time.time() - float(held["at"]), str(held["by"])
        except (BadData, ValueError, TypeError, KeyError):
            return  # it has gone meanwhile, or is none of ours
        if age < STALE:
            raise CannotWrite(
                f"{self.place} is being written by another run ({owner}, which said so {max(age, 0):.0f} s ago): wait "
                "for it, or name another place"
            )

    def _renew(self) -> None:
        self.put(LOCK, json.dumps({"by": f"process {os.getpid()} on {socket.gethostname()}", "at": time.time()}))

    def _keep(self, ended: Event) -> None:
        while not ended.wait(RENEWED):
            self._renew()


def _missing(place: str, name: str) -> BadData:
    return BadData(f"{place} has no {name}: begin again in another --out")
