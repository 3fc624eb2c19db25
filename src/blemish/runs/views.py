"""The view of a part: what its good parts, and the time that a picture may take, make of what is left open.

Everything is decided once, before the first picture is inspected, and from good parts alone, so that no score depends
on the pictures beside it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from inspect import signature
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from blemish import catalog
from blemish.errors import BadInput
from blemish.fitting import fit_detector
from blemish.images import WHOLE, View, keep_readable, read_header
from blemish.inspection import LONGEST, inspect, read_each
from blemish.progress import ShowProgress, no_progress
from blemish.runs.parts import frame_parts
from blemish.types import Detector, Encoder

LONG, LONGISH = 1.75, 1.25
"""How many times as long as wide parts are that are not stretched to a square, and those of which it is worth a try."""
LARGER = 1.4
"""How many times an encoder's own side pictures must have for a larger input to show more."""
LEAST_TILE, MOST_TILES = 48, 30
"""Pixels of a tile at the least, and tiles of a picture at most, where several views are tried by their results."""
SHARES = (3, 4, 6, 8, 12, 16, 24, 32, 48)
"""How many tiles would lie along the shorter side without their overlap, from coarse to fine; one input of twice the
side shows as much as two."""
TIMED = 3
"""Pictures by which the time of one is measured, after a first that is not counted."""


class Wish(NamedTuple):
    """What options leave open, or ask for, of a view."""

    keep_aspect: bool | None = None  # each picture's own shape, or a square; None: that of the good parts
    part_only: bool = False  # a plain background about the parts is left out
    allowed: float | None = None  # seconds that a picture may take


class Sight(NamedTuple):
    """How finely pictures are seen."""

    view: View
    side: int  # of what is seen at once, in pixels of the detector's input

    def passes(self, size: tuple[int, int], own: int) -> float:
        """About how often the encoder's own side is seen of a picture of (height, width)."""
        one = (self.side / own) ** 2
        if self.view.tile:
            return one * (count_tiles(size, self.view.tile) + bool(self.view.balance))
        if self.view.keep_aspect:
            return one * max(size) / min(size)
        return one * max(self.view.aspect or 1.0, 1 / (self.view.aspect or 1.0))

    def __str__(self) -> str:
        return view_in_words(self.view, self.side)


class ChosenView(NamedTuple):
    """What came of a wish."""

    view: View
    arguments: Mapping[str, Any]  # of the method, with the side of what is seen at once
    said: tuple[str, ...] = ()  # what was chosen, and why, a sentence each


def choose_view(
    method: str,
    encoder: Encoder,
    good: Sequence[Path],
    wish: Wish,
    *,
    view: View = WHOLE,
    arguments: Mapping[str, Any] | None = None,
    product: str = "object",
    batch_size: int = 8,
    watch: ShowProgress = no_progress,
) -> ChosenView:
    """The view in which a method is to see parts; raises BadInput where a wish needs good parts, or more time.

    Where no shape is asked for, pictures that are seen whole have that of the good parts, by words alone they are
    squares, and a trained method sees them as it was trained.

    view: what is known of it; tiles that it has stay. The time allowed is held by the finest view that pictures of this
    size can use: each is measured by a detector that has learned the good parts, on the device where it computes.
    """
    given, said = dict(arguments or {}), list[str]()
    if not good and (wish.part_only or wish.allowed is not None):
        asks = "--part-only is found" if wish.part_only else "--budget-ms chooses a view"
        raise BadInput(f"{asks} by good parts, so that no score depends on the pictures beside it: give some")
    if wish.part_only:
        view, why = frame_parts(good, view)
        said.append(why)
    if good and view.tile is None and wish.keep_aspect is None and not catalog.card(method).trained:
        view = replace(view, aspect=aspect_of(part_size(good, view)))
    elif wish.keep_aspect:
        view = replace(view, keep_aspect=True)
    if wish.allowed is None:
        return ChosenView(view, given, tuple(said))
    found = _Timed(method, encoder, good, given, product, batch_size, watch).finest(view, wish.allowed)
    return found._replace(said=(*said, *found.said))


def view_in_words(view: View, side: int | None = None) -> str:
    """How finely it sees; side: of a detector's input, where that is not the usual one."""
    at = f" at {side} px" if side else ""
    if view.tile:
        return f"{'whole and ' if view.balance else ''}tiles of {view.tile} px{at}"
    return f"whole{at}{', shape kept' if view.keep_aspect or view.aspect else ''}"


def part_size(good: Sequence[Path], view: View = WHOLE) -> tuple[int, int]:
    """The median height and width of what is inspected of these pictures; (1, 1) where none can be read."""
    if view.region:
        return view.region.height, view.region.width
    found = [size for _, size in keep_readable(read_each(good, lambda each: read_header(each.id).upright), [])]
    height, width = np.median(np.array(found or [(1, 1)]), axis=0).tolist()
    return round(height), round(width)


def aspect_of(size: tuple[int, int], *, least: float = LONG) -> float | None:
    """Width / height, at most LONGEST or its inverse, of parts that many times as long as wide; None of others."""
    height, width = size
    if max(size) < least * min(size):
        return None
    return round(min(max(width / height, 1 / LONGEST), LONGEST), 3)


def tile_sides(size: tuple[int, int], *, shares: Sequence[int] = (2, 3), most: int = MOST_TILES) -> list[int]:
    """Sides of tiles worth trying for pictures of (height, width): the shorter side of long ones, shares of it."""
    shorter, longer = sorted(size)
    sides = [shorter] if longer >= LONGISH * shorter else []
    sides += [-(-shorter // parts) for parts in shares]
    return [side for side in sides if side >= LEAST_TILE and count_tiles(size, side) <= most]


def count_tiles(size: Sequence[int], side: int) -> int:
    """How many of that side cover (height, width), a quarter shared with each neighbour."""
    step = side - side // 4
    down, across = (1 + max(0, -(-(length - side) // step)) for length in size)
    return down * across


def usual_side(method: str, encoder: Encoder) -> int:
    """Of what is seen at once: that of the method, or of the encoder."""
    sides = signature(catalog.method(method)).parameters.get("image_size")
    return (sides and sides.default) or encoder.image_size


def takes_side(method: str) -> bool:
    """Whether it sees pictures at any side; one's own method need not."""
    return "image_size" in signature(catalog.method(method)).parameters


def seconds_of(detector: Detector, pictures: Sequence[Path], view: View, *, batch_size: int = 8) -> float:
    """Median seconds of one picture alone, from its file to score and map."""
    times = list[float]()
    for number in range(TIMED + 1):
        start = time.perf_counter()
        for _ in inspect(detector, [pictures[number % len(pictures)]], view=view, batch_size=batch_size):
            times.append(time.perf_counter() - start)
    return median(times[1:])


class _Timed(NamedTuple):
    """A method whose time is measured in one view after another."""

    method: str
    encoder: Encoder
    good: Sequence[Path]
    arguments: Mapping[str, Any]
    product: str
    batch_size: int
    watch: ShowProgress

    def finest(self, view: View, allowed: float) -> ChosenView:
        """The view that shows most of those that take at most so many seconds; raises BadInput where there is none."""
        size, usual = part_size(self.good, view), usual_side(self.method, self.encoder)
        coarsest, *finer = _sights(view, size, usual, is_fixed=not takes_side(self.method))
        first = self._seconds(coarsest)
        if first > allowed:
            raise BadInput(
                f"a picture may take {1000 * allowed:g} ms, and {self.method} takes {1000 * first:.0f} even when it is "
                f"seen {coarsest}: allow more, or choose a quicker method or encoder"
            )
        share = first / coarsest.passes(size, usual)
        for sight in finer[::-1]:
            if share * sight.passes(size, usual) <= allowed and (found := self._seconds(sight)) <= allowed:
                return self._chosen(sight, found, allowed)
        return self._chosen(coarsest, first, allowed)

    def _seconds(self, sight: Sight) -> float:
        """Of a detector that has learned all good parts."""
        detector = fit_detector(
            self.method, self.encoder, product=self.product, good=self.good, arguments=self._arguments(sight),
            view=sight.view, batch_size=self.batch_size, watch=self.watch, unreadable=[],
        )  # fmt: skip
        return seconds_of(detector, self.good, sight.view, batch_size=self.batch_size)

    def _arguments(self, sight: Sight) -> dict[str, Any]:
        same = sight.side == usual_side(self.method, self.encoder)
        return dict(self.arguments) | ({} if same else {"image_size": sight.side})

    def _chosen(self, sight: Sight, seconds: float, allowed: float) -> ChosenView:
        said = f"each picture is seen {sight}: {1000 * seconds:.0f} ms on this machine, of {1000 * allowed:g} allowed"
        return ChosenView(sight.view, self._arguments(sight), (said,))


def _sights(view: View, size: tuple[int, int], own: int, *, is_fixed: bool) -> Iterator[Sight]:
    """From the whole at a method's usual side to whole and tiles at the pictures' own resolution."""
    yield Sight(view, own)
    shorter = min(size)
    if shorter >= LARGER * own and not is_fixed:
        yield Sight(view, 2 * own)
    plain = replace(view, keep_aspect=False, aspect=None)  # so that all inputs have one size
    for side in tile_sides(size, shares=SHARES, most=1 << 30):
        if own <= side < shorter:
            yield Sight(replace(plain, tile=side, overlap=side // 4, balance=1.0), own)
