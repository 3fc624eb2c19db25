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
from PIL import Image

from blemish.errors import CannotWrite
from blemish.files import guard_write, write
from blemish.images.overlays import colours
from blemish.serve.judge import Content, Judgement

WAITING = 32
MAP_SIDE, SHOWN_SIDE = 512, 1024
"""Pixels of the longer side of a map that is kept, and of what pages show."""
STRONGEST = 0.7
"""Opacity where a map is hottest: the part stays visible underneath."""
_SUFFIXES = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"BM": ".bmp", b"II": ".tif", b"MM": ".tif", b"RIFF": ".webp"}


class _Lot(NamedTuple):
    values: Mapping[str, Any]  # part and view
    content: Content
    found: Judgement


class Keeper:
    """Tells by `told` what was kept ("kept", with the files) or why nothing was ("unkept")."""

    def __init__(
        self, folder: Path, keep_free: int, verdicts: Collection[str], told: Callable[[str, Mapping[str, Any]], None]
    ) -> None:
        self.folder, self.keep_free, self.verdicts, self.told = folder, keep_free, verdicts, told
        self._queue: Queue[_Lot] = Queue(WAITING)
        threading.Thread(target=self._write, name="blemish-keeper", daemon=True).start()

    def add(self, part: str, view: str, content: Content, found: Judgement) -> None:
        """Keep a view and its map, unless none of that verdict are kept; returns at once."""
        if found.verdict in self.verdicts:
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
            except (ValueError, TypeError, OSError) as error:  # of Pillow, about one picture; the next is another
                self.told("unkept", {**lot.values, "reason": f"a picture could not be kept: {error}"})

    def _keep(self, lot: _Lot) -> list[tuple[str, str, int]]:
        """Kind, name and bytes of each file."""
        with guard_write(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        if (free := shutil.disk_usage(self.folder).free) < self.keep_free:
            raise CannotWrite(f"{self.folder}: pictures are not kept, only {free / 2**20:.0f} MiB of the disk are free")
        data, suffix = _as_file(lot.content)
        files, found = [("picture", suffix, data)], []
        if lot.found.anomaly_map is not None:
            files += [("map", ".npy", _as_npy(_smaller(lot.found.anomaly_map, MAP_SIDE).astype(np.float16)))]
            files += [("heat", ".png", _heat(_smaller(lot.found.anomaly_map, SHOWN_SIDE), lot.found.colours))]
        if lot.found.picture is not None:
            files += [("shown", ".webp", _shown(lot.found.picture))]
        for kind, end, content in files:
            name = f"{uuid4().hex}{end}"
            write(self.folder / name, content, lasting=False)
            found.append((kind, name, len(content)))
        return found


def _smaller(array: NDArray[Any], side: int) -> NDArray[Any]:
    step = -(-max(array.shape) // side)
    return array[::step, ::step]


def _shown(picture: NDArray[Any]) -> bytes:
    """For a page: no larger than a screen, in a format that browsers show."""
    pixels = picture if picture.dtype == np.uint8 else np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(np.moveaxis(pixels, 0, 2)))
    image.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
    file = io.BytesIO()
    image.save(file, "WEBP", quality=90, method=0)
    return file.getvalue()


def _heat(anomaly_map: NDArray[Any], scale: tuple[float, float] | None) -> bytes:
    """To lie over the picture: PNG, clear where the map is low."""
    finite = anomaly_map[np.isfinite(anomaly_map)]
    low, high = scale or (np.quantile(finite, (0.5, 0.999)) if len(finite) else (0.0, 1.0))
    scores = np.clip((np.nan_to_num(anomaly_map, nan=low) - low) / max(high - low, 1e-9), 0, 1).astype(np.float32)
    tinted = np.concatenate([colours(scores), STRONGEST * scores[None]])
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(np.moveaxis(np.rint(255 * tinted).astype(np.uint8), 0, 2)), "RGBA").save(
        file, "PNG"
    )
    return file.getvalue()


def _as_file(content: Content) -> tuple[bytes, str]:
    """And the ending of its name; an array becomes a TIFF, so that it can be taught."""
    if not isinstance(content, bytes):
        return _as_tiff(content) if _fits_tiff(content) else (_as_npy(content), ".npy")
    return content, next((end for start, end in _SUFFIXES.items() if content.startswith(start)), ".bin")


def _fits_tiff(array: NDArray[Any]) -> bool:
    """Of Pillow, which writes every sample as it is."""
    is_grey = array.ndim == 2
    return (array.dtype == np.uint8 and (is_grey or array.shape[2:] == (3,))) or (is_grey and array.dtype == np.uint16)


def _as_tiff(array: NDArray[Any]) -> tuple[bytes, str]:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(array)).save(file, "TIFF")
    return file.getvalue(), ".tif"


def _as_npy(array: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()
