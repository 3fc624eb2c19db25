"""What values the numbers among the arguments of catalogued methods may have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from blemish.errors import BadInput
from blemish.fields import is_number

COUNTS = frozenset({
    "channels", "clusters", "components", "context", "count", "crop", "depth", "heads", "hidden",
    "normals", "pictures", "reduction", "scales", "size", "sizes", "tokens", "top", "turns", "width", "windows",
})  # fmt: skip
"""Arguments of detectors of which there is at least one, in lists too; neighbours and ranks are in `SOME`."""
SOME = {("patchcore", "neighbours"), ("g-anomaly", "neighbours"), ("musc", "neighbours"), ("fe-clip", "rank")}
POSITIVE = frozenset({"temperature"})
"""Arguments by which something is divided."""
ODD = {("clip-dsa", "windows"), ("af-clip", "sizes"), ("musc", "sizes"), ("rare-clip", "sizes")}
"""Sides of neighbourhoods, which have a place in the middle."""
CHECKED = frozenset({"image_size", "layers"})
"""What methods check by their encoder."""


def require_bounds(name: str, key: str, value: Any, *, detects: bool) -> None:
    """Raise BadInput for a number that the argument of that method cannot be; no argument of any is negative."""
    what, numbers = f"{key} of {name}", list(_numbers(value))
    if key in CHECKED:
        return
    counts = detects and (key in COUNTS or (name, key) in SOME)
    if counts and isinstance(value, list | tuple) and not numbers:
        raise BadInput(f"{what} is an empty list: give at least one number")
    for number in numbers:
        if number < (1 if counts and isinstance(number, int) else 0):
            raise BadInput(f"{what} is at least {1 if counts else 0}, not {number:g}")
        if number == 0 and key in POSITIVE:
            raise BadInput(f"{what} is above 0, not {number:g}")
        if (name, key) in ODD and not number % 2:
            raise BadInput(f"{what} are odd numbers, not {number:g}: each neighbourhood has a place in its middle")


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, list | tuple):
        for each in value:
            yield from _numbers(each)
    elif is_number(value):
        yield value
