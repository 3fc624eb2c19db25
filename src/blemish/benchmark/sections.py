"""Tables of a TOML file read key by key: whatever does not fit is one BadInput that says where and what to write."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from blemish.data.rows import read_text
from blemish.errors import BadData, BadInput

Fits = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Section:
    """A table of the file."""

    file: Path
    path: str  # where it stands in the file: "methods[1].arguments"; "" for the whole
    values: Mapping[str, Any]

    def place(self, key: str) -> str:
        """The key with everything above it."""
        return f"{self.path}.{key}" if self.path else key

    def refused(self, key: str, said: str) -> BadInput:
        """The error that says so about a key."""
        return BadInput(f"{self.file}: {self.place(key)}: {said}")

    def inner(self, key: str, values: Mapping[str, Any]) -> Section:
        """The table under a key."""
        return Section(self.file, self.place(key), values)

    def only(self, *known: str, needed: tuple[str, ...] = ()) -> Section:
        """This section, when it has no key but those known and every key that is needed."""
        for key in self.values:
            if key not in known:
                close = get_close_matches(key, known, 1)
                hint = f"did you mean {close[0]}?" if close else f"the keys are {', '.join(sorted(known)) or 'none'}"
                raise self.refused(key, f"there is no such key; {hint}")
        for key in needed:
            if key not in self.values:
                raise self.refused(key, "this key is needed")
        return self

    def one(self, key: str, usual: Any, fits: Fits, wanted: str) -> Any:
        """The value of a key, `usual` where it is left out."""
        if key in self.values and not fits(self.values[key]):
            raise self.refused(key, f"{self.values[key]!r} will not do; write {wanted}")
        return self.values.get(key, usual)

    def listed(self, key: str, usual: tuple[Any, ...], fits: Fits, wanted: str) -> tuple[Any, ...]:
        """A list of different values, at least one, each of which fits."""
        if key not in self.values:
            return usual
        values = self.values[key]
        if not (isinstance(values, list) and values):
            raise self.refused(key, f"{values!r} will not do; write a list of {wanted}")
        for number, value in enumerate(values):
            if not fits(value):
                raise self.refused(key, f"{value!r} will not do; write a list of {wanted}")
            if value in values[:number]:
                raise self.refused(key, f"{value!r} is there twice: leave one out")
        return tuple(values)

    def sections(self, key: str) -> list[Section]:
        """The tables of an array, at least one."""
        values = self.values[key]
        if not (isinstance(values, list) and values and all(isinstance(value, dict) for value in values)):
            raise self.refused(key, f"write one table or more, each under [[{key}]]")
        return [Section(self.file, self.place(f"{key}[{number}]"), value) for number, value in enumerate(values)]


def read_toml(path: Path, example: str) -> Section:
    """The whole of a file in any usual encoding; raises BadInput when it is not TOML."""
    try:
        text = read_text(path)
        if not text.strip():
            raise BadInput(f"{path} is not TOML (it is empty): {example} shows a plan")
        return Section(path, "", tomllib.loads(text))
    except BadData as error:
        raise BadInput(f"{error}; {example} shows a plan") from error
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{path} is not TOML ({error}): correct it, {example} shows a plan") from error


def one_of(names: Container[str]) -> Fits:
    """Fits one of these names."""
    return lambda value: isinstance(value, str) and value in names


def is_text(value: Any) -> bool:
    """Fits words that are not empty."""
    return isinstance(value, str) and bool(value.strip())


def is_count(value: Any) -> bool:
    """Fits whole numbers from 0 on, which true and false are not."""
    return type(value) is int and value >= 0


def is_share(value: Any) -> bool:
    """Fits a number between 0 and 1, without the ends."""
    return type(value) in (int, float) and 0 < value < 1
