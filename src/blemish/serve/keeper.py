"""Writes pictures and maps of a station to the ring, in a thread of its own, so that no verdict waits for a disk."""

from __future__ import annotations

import io
import shutil
import threading
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from queue import Full, Queue
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from blemish.errors import CannotWrite
from blemish.files import guard_write, write
from blemish.serve.judge import Content

WAITING = 32
MAP_SIDE = 512
"""Pixels of the longer side of a map that is kept."""
_SUFFIXES = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"BM": ".bmp", b"II": ".tif", b"MM": ".tif", b"RIFF": ".webp"}


class _Lot(NamedTuple):
    values: Mapping[str, Any]  # part and view
    content: Content
    anomaly_map: NDArray[np.float32] | None


class Keeper:
    """Tells by `told` what was kept ("kept", with the files) or why nothing was ("unkept")."""

    def __init__(
        self, folder: Path, keep_free: int, verdicts: Collection[str], told: Callable[[str, Mapping[str, Any]], None]
    ) -> None:
        self.folder, self.keep_free, self.verdicts, self.told = folder, keep_free, verdicts, told
        self._queue: Queue[_Lot] = Queue(WAITING)
        threading.Thread(target=self._write, name="blemish-keeper", daemon=True).start()

    def add(self, part: str, view: str, verdict: str, content: Content, found: NDArray[np.float32] | None) -> None:
        """Keep a view and its map, unless none of that verdict are kept; returns at once."""
        if verdict in self.verdicts:
            try:
                self._queue.put_nowait(_Lot({"part": part, "view": view}, content, found))
            except Full:
                self.told("unkept", {"part": part, "reason": "the disk is too slow to keep every picture"})

    def _write(self) -> None:
        while True:
            lot = self._queue.get()
            try:
                self.told("kept", {**lot.values, "files": self._keep(lot)})
            except CannotWrite as error:
                self.told("unkept", {**lot.values, "reason": str(error)})

    def _keep(self, lot: _Lot) -> list[tuple[str, str, int]]:
        """Kind, name and bytes of each file."""
        with guard_write(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        if (free := shutil.disk_usage(self.folder).free) < self.keep_free:
            raise CannotWrite(f"{self.folder}: pictures are not kept, only {free / 2**20:.0f} MiB of the disk are free")
        data, suffix = _as_file(lot.content)
        files = [("picture", suffix, data)]
        if lot.anomaly_map is not None:
            step = -(-max(lot.anomaly_map.shape) // MAP_SIDE)
            files.append(("map", ".npy", _as_npy(lot.anomaly_map[::step, ::step].astype(np.float16))))
        found = []
        for kind, end, content in files:
            name = f"{uuid4().hex}{end}"
            write(self.folder / name, content, lasting=False)
            found.append((kind, name, len(content)))
        return found


def _as_file(content: Content) -> tuple[bytes, str]:
    """And the ending of its name."""
    if not isinstance(content, bytes):
        return _as_npy(content), ".npy"
    return content, next((end for start, end in _SUFFIXES.items() if content.startswith(start)), ".bin")


def _as_npy(array: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()
