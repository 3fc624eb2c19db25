"""On which line of a TOML file each key stands, which the parser of the standard library does not say."""

from __future__ import annotations

import re
from collections import Counter

_NAME = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_DOTTED = rf"{_NAME}(?:\s*\.\s*{_NAME})*"
_HEAD = re.compile(rf"\s*(\[\[?)\s*({_DOTTED})\s*\]")
_KEY = re.compile(rf"\s*({_DOTTED})\s*=")


def lines_of(text: str) -> dict[str, int]:
    """Place of a key as `Fields` writes it ("stations[0].folder.path") -> its line, from 1 on.

    Keys inside an inline table are not told apart: they stand where their table does.
    """
    found: dict[str, int] = {}
    counts: Counter[str] = Counter()
    table, ends_with = "", ""
    for number, line in enumerate(text.splitlines(), start=1):
        if ends_with:
            ends_with = "" if ends_with in line else ends_with
            continue
        if head := _HEAD.match(line):
            table = _place(head[2], counts, is_list=head[1] == "[[")
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            place = ".".join(filter(None, (table, *_names(key[1]))))
            found.setdefault(place, number)
            ends_with = _open_string(line[key.end() :])
    return found


def _place(dotted: str, counts: Counter[str], *, is_list: bool) -> str:
    """A header's place: each list on the way is at its latest table."""
    place = ""
    names = _names(dotted)
    for depth, name in enumerate(names, start=1):
        place = f"{place}.{name}" if place else name
        counts[place] += is_list and depth == len(names)
        place += f"[{counts[place] - 1}]" if counts[place] else ""
    return place


def _names(dotted: str) -> list[str]:
    return [name.strip("\"'") for name in re.findall(_NAME, dotted)]


def _open_string(value: str) -> str:
    """The quotes that end a string of several lines which begins here."""
    for quotes in ('"""', "'''"):
        if value.count(quotes) == 1:
            return quotes
    return ""
