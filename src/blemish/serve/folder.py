"""The pictures that a camera's program writes to a folder, each when it is complete."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from blemish.serve.records import is_part_id
from blemish.serve.settings import FolderSettings

ENDINGS = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp", ".npy")


class NewFile(NamedTuple):
    """A picture, and which part it shows."""

    path: Path
    part: str
    view: str


class Watch:
    """Asked again and again; remembers what it has handed out until the file is gone."""

    def __init__(self, settings: FolderSettings, views: tuple[str, ...]) -> None:
        self.settings, self.views = settings, views
        self._seen: dict[str, tuple[tuple[int, int], float]] = {}  # name -> size and time of change, since when
        self._given: dict[str, tuple[int, int]] = {}  # with the size and time that it had

    def look(self, is_wanted: Callable[[str], bool]) -> Iterator[NewFile]:
        """Complete files of wanted parts, the oldest first; hidden ones and names of no part are left alone."""
        self.settings.path.mkdir(parents=True, exist_ok=True)
        stamps = dict(self._stamps())
        self._given = {name: given for name, given in self._given.items() if stamps.get(name) == given}
        self._seen = {name: seen for name, seen in self._seen.items() if name in stamps}
        for name in sorted(stamps, key=lambda name: (stamps[name][1], name)):
            if name in self._given or not self._is_settled(name, stamps[name]):
                continue
            found = self._named(name)
            if found and is_wanted(found.part):
                self._given[name] = stamps[name]
                yield found

    def _stamps(self) -> Iterator[tuple[str, tuple[int, int]]]:
        for path in self.settings.path.iterdir():
            if path.suffix.lower() in ENDINGS and not path.name.startswith("."):
                with suppress(OSError):  # gone meanwhile
                    found = path.stat()
                    yield path.name, (found.st_size, found.st_mtime_ns)

    def _is_settled(self, name: str, stamp: tuple[int, int]) -> bool:
        if not self.settings.settle_ms:
            return stamp[0] > 0  # files are renamed into place
        now, (before, since) = time.monotonic(), self._seen.get(name, ((-1, -1), 0.0))
        if before != stamp:
            self._seen[name] = (stamp, now)
            return False
        return stamp[0] > 0 and 1000 * (now - since) >= self.settings.settle_ms

    def _named(self, name: str) -> NewFile | None:
        found = self.settings.pattern.fullmatch(Path(name).stem)
        if not found or not is_part_id(found["part"]):
            return None
        view = found.groupdict().get("view") or self.views[0]
        return NewFile(self.settings.path / name, found["part"], view) if view in self.views else None


def put_away(settings: FolderSettings, names: Iterable[str]) -> None:
    """Remove files whose parts are recorded, or move them."""
    for name in names:
        with suppress(OSError):  # gone meanwhile, or for whoever looks at the folder
            if settings.done is None:
                (settings.path / name).unlink(missing_ok=True)
                continue
            settings.done.mkdir(parents=True, exist_ok=True)
            shutil.move(settings.path / name, settings.done / name)
