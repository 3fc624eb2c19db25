"""The file run.json of a run's folder: what it was asked for, so that it can be gone on with and shown again."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from blemish.calibration.thresholds import Calibration
from blemish.errors import BadData, BadRecipe
from blemish.fields import is_number, is_string, list_of, or_none, read_json
from blemish.files import write_json

NAME = "run.json"


class RunNote(NamedTuple):
    """What is noted of a run."""

    settings: dict[str, Any]
    colour_scale: tuple[float, float] | None  # of its heat maps
    folder: str  # where it was begun
    suggested: Calibration | None  # the threshold that good parts suggested

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return self._asdict() | {"suggested": self.suggested and self.suggested.as_json()}

    def write(self, home: Path) -> None:
        """Into the run's folder."""
        write_json(home / NAME, self.as_json())


def read_note(home: Path, way_out: str) -> RunNote:
    """The note of the run in a folder; raises BadData when there is none or it is damaged."""
    if not (home / NAME).exists():
        raise BadData(f"{home} has no {NAME}: it is no run, or one that has not begun: {way_out}")
    read = read_json(home / NAME, BadData, way_out)
    read.only(*RunNote._fields, needed=("settings",))
    settings = dict(read.inner("settings", read.values["settings"]).values)
    scale = read.one("colour_scale", None, or_none(list_of(is_number, 2)), "two numbers or null")
    folder, found = read.one("folder", "", is_string, "words"), read.values.get("suggested")
    try:
        suggested = Calibration.from_json(found) if found else None
    except BadRecipe as error:
        raise read.misfit("suggested", found, "a calibration or null") from error
    return RunNote(settings, tuple(scale) if scale else None, folder, suggested)
