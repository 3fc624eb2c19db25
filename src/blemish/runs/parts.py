"""Where the parts are in pictures of them on a plain background: what lies beyond is no part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from blemish.errors import BadInput
from blemish.images import Region, Source, View, keep_readable, read_source
from blemish.images.plain_background import find_part
from blemish.inspection import read_each
from blemish.notices import amount

MOST_FRAMED = 64
"""Good parts that are looked at, at even distances."""
ROOM = 0.05
"""What is left about the parts, as a share of the picture's shorter side: none lies quite where another one did."""
FULL = 0.9
"""The share of the picture from which on leaving out the rest is not worth it."""
KEPT = "the background is not left out"


def frame_parts(good: Sequence[Path], view: View) -> tuple[View, str]:
    """The view of the rectangle that holds every good part, and a sentence; as it was where that is not sure.

    It is sure where all pictures have one size, and in each of them the background is plain and the part stands away
    from the frame, see `images.plain_background`. Where a part is broken or missing the rectangle stays where it was.
    """
    if view.region is not None or view.mask is not None:
        raise BadInput("--part-only finds the region itself: leave out --region and --mask, or --part-only")
    drawn = good[:: -(-len(good) // MOST_FRAMED)]
    found = [each for _, each in keep_readable(read_each(drawn, partial(_place_of, white=view.white)), [])]
    if len({each.size for each in found}) != 1:
        return view, f"{KEPT}: the pictures of the good parts have several sizes"
    if unsure := sum(each.rows is None for each in found):
        why = "they fill the picture, reach its frame, or stand on a background that is not plain"
        return view, f"{KEPT}: of {amount(len(found), 'good part')} {unsure} are not told from it: {why}"
    region, (height, width) = _frame(found), found[0].size
    share = region.width * region.height / (height * width)
    if share > FULL:
        return view, f"{KEPT}: the parts take {100 * share:.0f} % of the picture"
    said = f"only the region {region} is inspected, {100 * share:.0f} % of the picture: no good part lies beyond it"
    return replace(view, region=region), said


class _Place(NamedTuple):
    """Of a part in its picture; rows and columns are the first and the one behind the last, None where not sure."""

    size: tuple[int, int]
    rows: tuple[int, int] | None = None
    columns: tuple[int, int] | None = None


def _place_of(source: Source, white: float | None) -> _Place:
    picture = read_source(source, white=white)
    size, part = (picture.shape[-2], picture.shape[-1]), find_part(picture)
    if part is None:
        return _Place(size)
    rows, columns = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
    return _Place(size, (int(rows[0]), int(rows[-1]) + 1), (int(columns[0]), int(columns[-1]) + 1))


def _frame(found: Sequence[_Place]) -> Region:
    """With some room about all of them, inside the picture."""
    size = found[0].size
    room = round(ROOM * min(size))
    (top, bottom), (left, right) = (
        (max(0, min(each[0] for each in sides if each) - room), min(n, max(each[1] for each in sides if each) + room))
        for n, sides in zip(size, zip(*((each.rows, each.columns) for each in found), strict=True), strict=True)
    )
    return Region(left, top, right - left, bottom - top)
