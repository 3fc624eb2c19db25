"""What doors and pages ask the store, each by an index."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import Connection, RowMapping, select

from blemish.serve.records import SEVERITY, PartRecord
from blemish.serve.schema import parts

FIELDS = tuple(each.name for each in dataclasses.fields(PartRecord))
CHUNK = 1000
COUNTED = 1000
"""Parts, the latest ones, whose verdicts are counted."""


class Wanted(NamedTuple):
    """Which parts; what is left empty does not choose."""

    station: str = ""
    verdict: str = ""
    product: str = ""
    batch: str = ""
    recipe: str = ""
    before: int | None = None  # the number of a part, for the next page
    part: str = ""
    outcomes: tuple[str, ...] = ()


def find_part(connection: Connection, station: str, part: str) -> PartRecord | None:
    """By station and id."""
    found = connection.execute(select(parts).where(parts.c.station == station, parts.c.part == part)).mappings().first()
    return record_of(found) if found else None


def record_of(row: RowMapping) -> PartRecord:
    """Of a row of `parts`."""
    return PartRecord(**{name: row[name] for name in FIELDS})


def list_parts(connection: Connection, wanted: Wanted, count: int) -> list[dict[str, Any]]:
    """The latest first, in plain values, with their numbers."""
    chosen = choose_parts(wanted).order_by(parts.c.n.desc()).limit(count)
    return [dict(row) for row in connection.execute(chosen).mappings()]


def count_verdicts(connection: Connection, station: str, count: int) -> dict[str, int]:
    """Of the latest parts of a station: how many had each verdict, and how many were late."""
    chosen = select(parts.c.verdict, parts.c.late).where(parts.c.station == station).order_by(parts.c.n.desc())
    rows = connection.execute(chosen.limit(count)).all()
    found = Counter(row.verdict for row in rows)
    return {verdict: found[verdict] for verdict in SEVERITY} | {"late": sum(row.late for row in rows)}


def each_part(connection: Connection, wanted: Wanted) -> Iterator[dict[str, Any]]:
    """All of them, the oldest first, however many there are."""
    last = 0
    while True:
        chosen = choose_parts(wanted).where(parts.c.n > last).order_by(parts.c.n).limit(CHUNK)
        rows = connection.execute(chosen).mappings().all()
        if not rows:
            return
        last = rows[-1]["n"]
        yield from map(dict, rows)


def choose_parts(wanted: Wanted, *columns: Any) -> Any:
    """A statement that looks up these columns, or all, of the parts that are wanted.

    By the index of what chooses the fewest, as a rule; a database that has not counted its rows guesses otherwise.
    """
    chosen = select(*columns) if columns else select(parts)
    if wanted.station:
        chosen = chosen.where(parts.c.station == wanted.station)
    names = [name for name in ("part", "batch", "recipe", "verdict", "product") if getattr(wanted, name)]
    for at, name in enumerate(names):
        column = parts.c[name] if at == 0 else parts.c[name].concat("")  # which has no index
        chosen = chosen.where(column == getattr(wanted, name))
    if wanted.outcomes:
        chosen = chosen.where(parts.c.outcome.in_(wanted.outcomes))
    return chosen if wanted.before is None else chosen.where(parts.c.n < wanted.before)
