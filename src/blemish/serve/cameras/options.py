"""The tables `[[stations.cameras]]` of `line.toml`: cameras that a station reads itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ctypes.util import find_library
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit, urlunsplit

from blemish.errors import MissingExtra
from blemish.fields import Fields, is_number, is_string, is_text, one_of, table_of
from blemish.serve.keys import flag_at, number_at

CameraKind = Literal["opencv", "genicam"]
ARAVIS = "aravis-0.8"
KEYS = ("kind", "device", "views", "interval_ms", "trigger", "features")


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """One camera of a station."""

    kind: CameraKind
    device: str  # a number, an address, a file; of GenICam a name, "" for the first there is
    views: tuple[str, ...]  # that it takes of each part, one after the other
    interval_ms: float  # from one picture that is taken to the next; 0: every one
    trigger: bool  # the station triggers it
    features: Mapping[str, Any]  # that it is set to

    @property
    def is_live(self) -> bool:
        """Whether it goes on by itself, which files do not."""
        return self.kind == "genicam" or self.device.isdecimal() or "://" in self.device

    @property
    def shown(self) -> str:
        """The device, without the password of its address."""
        if "://" not in self.device:
            return f"camera {self.device}".rstrip()
        found = urlsplit(self.device)
        return f"camera {urlunsplit(found._replace(netloc=found.netloc.rpartition('@')[2]))}"


def read_cameras(tables: Sequence[Fields], views: Sequence[str], folder: Path) -> tuple[CameraSettings, ...]:
    """Raises BadInput with the line of what does not fit, and MissingExtra."""
    found = [_camera(section, views, folder, alone=len(tables) == 1) for section in tables]
    for number, (each, section) in enumerate(zip(found, tables, strict=True)):
        if twice := {view for other in found[:number] for view in other.views} & set(each.views):
            raise section.refused("views", f"another camera takes {', '.join(sorted(twice))} already: leave it out")
    return tuple(found)


def _camera(section: Fields, views: Sequence[str], folder: Path, *, alone: bool) -> CameraSettings:
    kinds = get_args(CameraKind)
    section.only(*KEYS, needed=("kind",) if alone else ("kind", "views"))
    kind = section.one("kind", "", one_of(kinds), f"one of {', '.join(kinds)}")
    _require_library(section, kind)
    device = _device(section, kind, folder)
    features = section.one("features", {}, table_of(_is_feature), "a table of numbers, words, true and false")
    if kind == "opencv":
        _check_properties(section, features)
    trigger = flag_at(section, "trigger", usual=False)
    if trigger and kind == "opencv":
        raise section.refused("trigger", "OpenCV triggers no camera: leave it out, or use genicam")
    taken = section.listed("views", tuple(views), one_of(views), f"views: {', '.join(views)}")
    interval = number_at(section, "interval_ms", 0, 0, 86_400_000)
    return CameraSettings(kind, device, taken, interval, trigger, features)


def _device(section: Fields, kind: str, folder: Path) -> str:
    if kind == "genicam":
        return str(section.one("device", "", is_string, "a name that arv-tool-0.8 lists"))
    if "device" not in section.values:
        raise section.refused("device", "this key is needed")
    device: str = section.one("device", "", is_text, 'a number as "0", an address as "rtsp://...", or a file')
    return device if device.isdecimal() or "://" in device else str(folder / device)


def _require_library(section: Fields, kind: str) -> None:
    if kind == "opencv" and find_spec("cv2") is None:
        raise MissingExtra(f"{section.refused('kind', 'opencv needs cv2')}: pip install 'blemish[camera]'")
    if kind == "genicam" and find_library(ARAVIS) is None:
        raise MissingExtra(f"{section.refused('kind', 'genicam needs Aravis')}: apt-get install libaravis-0.8-0")


def _check_properties(section: Fields, features: Mapping[str, Any]) -> None:
    if not features:
        return
    import cv2

    for name, value in features.items():
        if not hasattr(cv2, f"CAP_PROP_{name}"):
            raise section.refused("features", f"OpenCV has no property CAP_PROP_{name}: such as FRAME_WIDTH")
        if not is_number(value):
            raise section.refused("features", f"{name} = {value!r} will not do, wanted is a number")


def _is_feature(value: Any) -> bool:
    return isinstance(value, bool) or is_number(value) or is_text(value)
