"""Tables of a JSON or TOML file read field by field: what does not fit is one error, with file, field and way out."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cache
from inspect import signature
from math import isfinite
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Self, Union, get_args, get_origin

from blemish.errors import BadInput, BlemishError

Fits = Callable[[Any], bool]
SHOWN = 80
"""Characters of a value that does not fit."""


@dataclass(frozen=True, slots=True)
class Fields:
    """A table of the file."""

    file: str | Path
    path: str  # where it stands in the file: "methods[1].arguments"; "" for the whole
    values: Mapping[str, Any]
    error: type[BlemishError] = BadInput
    way_out: str = ""  # ends every message
    lines: Mapping[str, int] = field(
        default_factory=dict
    )  # where each key stands in the file, from 1 on; a message then says so

    def place(self, key: str) -> str:
        """The key with everything above it."""
        return f"{self.path}.{key}" if self.path else key

    def refused(self, key: str, said: str) -> BlemishError:
        """The error that says so about a key."""
        where = f"{self.file}{self._line(self.place(key))}: {self.place(key)}"
        error = self.error(f"{where}: {said}" + (self.way_out and f": {self.way_out}"))
        error.place = self.place(key)
        return error

    def without(self, place: str) -> Fields | None:
        """The same without the key at a place, "methods[1].arguments"; None where there is no such key."""
        values = deepcopy(dict(self.values))
        *above, last = [int(name) if name.isdigit() else name for name in re.findall(r"[^.\[\]]+", place)] or [""]
        at: Any = values
        for name in above:
            at = at[name] if isinstance(at, list) or name in at else {}
        return replace(self, values=values) if isinstance(at, dict) and at.pop(last, self) is not self else None

    def _line(self, place: str) -> str:
        """That of the key, or else of what it should stand under."""
        while place and place not in self.lines:
            place = place[: max(place.rfind("."), place.rfind("["), 0)]
        return f", line {self.lines[place]}" if place else ""

    def inner(self, key: str, values: Any) -> Fields:
        """The table under a key."""
        if not (isinstance(values, Mapping) and all(map(is_string, values))):
            raise self.misfit(key, values, "a table")
        return Fields(self.file, self.place(key), values, self.error, self.way_out, self.lines)

    def misfit(self, key: str, value: Any, wanted: str) -> BlemishError:
        """The error that says what a key is to be."""
        return self.refused(key, f"{value!r:.{SHOWN}} will not do, wanted is {wanted}")

    def only(self, *known: str, needed: Collection[str] = ()) -> Self:
        """This table, when it has no key but those known and every key that is needed."""
        for key in self.values:
            if key not in known:
                close = get_close_matches(key, known, 1)
                hint = f"did you mean {close[0]}?" if close else f"the keys are {', '.join(sorted({*known})) or 'none'}"
                raise self.refused(key[:SHOWN], f"there is no such key; {hint}")
        for key in needed:
            if key not in self.values:
                raise self.refused(key, "this key is needed")
        return self

    def one(self, key: str, usual: Any, fits: Fits, wanted: str) -> Any:
        """The value of a key, `usual` where it is left out."""
        if key in self.values and not fits(self.values[key]):
            raise self.misfit(key, self.values[key], wanted)
        return self.values.get(key, usual)

    def listed(self, key: str, usual: tuple[Any, ...], fits: Fits, wanted: str) -> tuple[Any, ...]:
        """A list of different values, at least one, each of which fits."""
        if key not in self.values:
            return usual
        values = self.values[key]
        if not (isinstance(values, list) and values):
            raise self.misfit(key, values, f"a list of {wanted}")
        for number, value in enumerate(values):
            if not fits(value):
                raise self.misfit(key, value, f"a list of {wanted}")
            if value in values[:number]:
                raise self.refused(key, f"{value!r} is there twice: leave one out")
        return tuple(values)

    def tables(self, key: str) -> list[Fields]:
        """The tables of an array, at least one."""
        values = self.values[key]
        if not (isinstance(values, list) and values and all(isinstance(value, dict) for value in values)):
            raise self.refused(key, f"write one table or more, each under [[{key}]]")
        return [self.inner(f"{key}[{number}]", value) for number, value in enumerate(values)]


def read_json(path: Path, error: type[BlemishError], way_out: str) -> Fields:
    """The object of a JSON file; raises the error when it is missing or something else."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as damage:
        raise error(f"{path} is damaged ({str(damage)[:SHOWN]}): {way_out}") from damage
    if not isinstance(values, dict):
        raise error(f"{path} is damaged (it holds no object): {way_out}")
    return Fields(path, "", values, error, way_out)


def one_of(names: Container[str]) -> Fits:
    """Fits one of these names."""
    return lambda value: isinstance(value, str) and value in names


def or_none(fits: Fits) -> Fits:
    """Fits nothing as well."""
    return lambda value: value is None or fits(value)


def list_of(fits: Fits, length: int | None = None) -> Fits:
    """Fits a list whose values fit, of that length if one is given."""
    return lambda value: isinstance(value, list) and length in (None, len(value)) and all(map(fits, value))


def table_of(fits: Fits) -> Fits:
    """Fits a table whose values fit."""
    return lambda value: isinstance(value, dict) and all(map(is_string, value)) and all(map(fits, value.values()))


def is_string(value: Any) -> bool:
    """Fits any words."""
    return isinstance(value, str)


def is_text(value: Any) -> bool:
    """Fits words that are not empty."""
    return isinstance(value, str) and bool(value.strip())


def is_count(value: Any) -> bool:
    """Fits whole numbers from 0 on, which true and false are not."""
    return type(value) is int and value >= 0


def is_number(value: Any) -> bool:
    """Fits finite numbers that a float can hold."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def are_numbers(value: Any) -> bool:
    """Fits a list of finite numbers, quicker than one by one."""
    return isinstance(value, list) and set(map(type, value)) <= {int, float} and are_finite(value)


def are_finite(values: Iterable[float]) -> bool:
    """Whether numbers are: a sum is not where one is not."""
    try:
        return isfinite(sum(map(float, values)))
    except OverflowError:  # of a whole number that no float holds
        return False


def is_share(value: Any) -> bool:
    """Fits a number between 0 and 1, without the ends."""
    return type(value) in (int, float) and 0 < value < 1


def is_plain(value: Any) -> bool:
    """Fits what JSON has but lists and tables."""
    return value is None or isinstance(value, str | bool) or is_number(value)


@cache
def annotations_of(made: type[Any]) -> Mapping[str, Any]:
    """What each argument of a class is annotated with, by name; evaluated once, as a module is when it is imported."""
    return {name: each.annotation for name, each in signature(made, eval_str=True).parameters.items()}


def require_kind(name: str, value: Any, annotation: Any) -> None:
    """Raise BadInput for a value that a parameter so annotated does not take."""
    if not fits_annotation(annotation)(value):
        raise BadInput(f"{name} is {annotation_in_words(annotation)}, not {value!r:.{SHOWN}}")


def fits_annotation(annotation: Any) -> Fits:
    """Fits values that a parameter so annotated takes; classes of one's own are not looked at."""
    parts = get_args(annotation)
    if get_origin(annotation) in (Union, UnionType):
        return lambda value: any(fits_annotation(part)(value) for part in parts)
    if get_origin(annotation) is Literal:
        return lambda value: value in parts
    if get_origin(annotation) in (Sequence, list, tuple):
        return lambda value: isinstance(value, list | tuple) and all(map(fits_annotation(parts[0]), value))
    if get_origin(annotation) is Mapping:
        return table_of(fits_annotation(parts[1]))
    if annotation in (int, bool, NoneType):
        return lambda value: type(value) is annotation
    return {float: is_number, str: is_string}.get(annotation, lambda value: True)


LIST_EXAMPLES = {int: "[1, 2]", float: "[0.5, 2]", str: '["scratch", "dent"]'}
"""Of lists of such, as one writes them behind --set NAME=, too."""


def annotation_in_words(annotation: Any) -> str:
    """What such a parameter takes, for messages: "a whole number or null"."""
    parts = get_args(annotation)
    if get_origin(annotation) in (Union, UnionType):
        return " or ".join(map(annotation_in_words, parts))
    if get_origin(annotation) is Literal:
        return " or ".join(map(str, parts))
    if get_origin(annotation) in (Sequence, list, tuple):
        such = LIST_EXAMPLES.get(parts[0])
        return f"a list, each {annotation_in_words(parts[0])}" + (f", such as {such}" if such else "")
    if get_origin(annotation) is Mapping:
        return f"a table, each value {annotation_in_words(parts[1])}"
    plain = {int: "a whole number", float: "a number", str: "text", bool: "true or false", NoneType: "null"}
    return plain.get(annotation, getattr(annotation, "__name__", str(annotation)))
