"""Waiting until something changes in a folder; where the system does not tell, until it is time to look again."""

from __future__ import annotations

import ctypes
import os
import select
import sys
import time
from pathlib import Path

_WRITTEN, _MOVED_HERE = 0x08, 0x80
"""Of inotify: a file was closed after it was written, or has come by its new name."""
_EVENTS = 65536


class FolderAlarm:
    """By Linux's inotify, which says nothing of what other machines write to a shared disk."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._number = folder, -1
        if sys.platform == "linux":
            self._system = ctypes.CDLL(None)
            self._number = self._system.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self.listen()

    def listen(self) -> None:
        """From now on; again, since a folder may be another of the same name by now."""
        if self._number >= 0:
            self._system.inotify_add_watch(self._number, os.fsencode(self.folder), _WRITTEN | _MOVED_HERE)

    def wait(self, seconds: float) -> None:
        """Until something has changed since this was called last, or so long."""
        if self._number < 0:
            time.sleep(seconds)
            return
        if select.select([self._number], [], [], seconds)[0]:
            os.read(self._number, _EVENTS)
        self.listen()
