"""Which of the last good parts looks most like one that is to be judged, as a report shows beside each picture."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sqlalchemy import Connection, select

from blemish.report.similar_parts import likeness
from blemish.serve.front import Front
from blemish.serve.schema import judgements, parts, pictures

COMPARED, REMEMBERED = 64, 1024
"""Good parts among which one is sought, the last ones, and pictures of which it is known what they look like."""


class ShownPicture(NamedTuple):
    """What pages show of a view of a part."""

    n: int
    part: str
    file: str


class Similar:
    """Of one front; what a picture looks like is found out once, in a thread."""

    def __init__(self, front: Front) -> None:
        self.front = front
        self._known: OrderedDict[int, NDArray[np.float32]] = OrderedDict()

    async def find(self, station: str, part: str, view: str) -> ShownPicture | None:
        """A good part of the same product; None where none, or nothing of this part, is kept."""

        def look(connection: Connection) -> tuple[ShownPicture | None, list[ShownPicture]]:
            return _shown(connection, station, part, view), good_pictures(connection, station, part, view)

        own, others = await self.front.look_up(look)
        return await asyncio.to_thread(self._nearest, own, others) if own and others else None

    def _nearest(self, own: ShownPicture, others: Sequence[ShownPicture]) -> ShownPicture | None:
        wanted = self._look(own)
        found = [(each, seen) for each in others if (seen := self._look(each)) is not None]
        if wanted is None or not found:
            return None
        away = np.square(np.stack([seen for _, seen in found]) - wanted).sum(1)
        return found[int(away.argmin())][0]

    def _look(self, shown: ShownPicture) -> NDArray[np.float32] | None:
        if shown.n not in self._known:
            seen = _likeness(self.front.ring.folder / shown.file)
            if seen is None:
                return None
            self._known[shown.n] = seen
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return self._known[shown.n]


def _likeness(path: Path) -> NDArray[np.float32] | None:
    """Of a picture that a station has written; None for one that is gone."""
    try:
        with Image.open(path) as image:
            return likeness(image)
    except OSError:
        return None


def good_pictures(connection: Connection, station: str, part: str, view: str) -> list[ShownPicture]:
    """Of the last parts that were accepted and that no person rejected, of the product of that part."""
    own = (parts.c.station == pictures.c.station) & (parts.c.part == pictures.c.part)
    product = select(parts.c.product).where(parts.c.station == station, parts.c.part == part).scalar_subquery()
    said = (judgements.c.station == pictures.c.station) & (judgements.c.part == pictures.c.part)
    rejected = select(judgements.c.n).where(said, ~judgements.c.undone, judgements.c.verdict == "reject")
    chosen = _of_view(station, view).join(parts, own).where(
        pictures.c.verdict == "accept", pictures.c.part != part, parts.c.product == product,
        ~rejected.correlate(pictures).exists(),
    )  # fmt: skip
    rows = connection.execute(chosen.order_by(pictures.c.n.desc()).limit(COMPARED))
    return [ShownPicture(row.n, row.part, row.file) for row in rows]


def _shown(connection: Connection, station: str, part: str, view: str) -> ShownPicture | None:
    row = connection.execute(_of_view(station, view).where(pictures.c.part == part)).first()
    return ShownPicture(row.n, row.part, row.file) if row else None


def _of_view(station: str, view: str) -> Any:
    columns = (pictures.c.n, pictures.c.part, pictures.c.file)
    return select(*columns).where(pictures.c.station == station, pictures.c.view == view, pictures.c.kind == "shown")
