"""Kinds of values that stand in `line.toml`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from blemish.fields import Fields, is_number, is_text

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
NAMES = "a name of letters, digits, dots, dashes and underlines, 64 at most"


def number_at(section: Fields, key: str, usual: float, low: float, high: float, *, whole: bool = False) -> float:
    """Within bounds; raises BadInput."""
    kind = "a whole number" if whole else "a number"

    def fits(value: Any) -> bool:
        return is_number(value) and low <= value <= high and (not whole or type(value) is int)

    return float(section.one(key, usual, fits, f"{kind} from {low:g} to {high:g}"))


def flag_at(section: Fields, key: str, *, usual: bool) -> bool:
    """True or false."""
    return bool(section.one(key, usual, lambda value: isinstance(value, bool), "true or false"))


def file_at(section: Fields, key: str, folder: Path) -> Path | None:
    """A file that is there, from the folder of `line.toml` on; None where the key is left out."""
    if key not in section.values:
        return None
    path: Path = folder / section.one(key, "", is_text, "a file, from this file on")
    if not path.is_file():
        raise section.refused(key, f"{path} is not there")
    return path


def is_name(value: Any) -> bool:
    """Fits a name that may stand in an address."""
    return isinstance(value, str) and NAME.fullmatch(value) is not None
