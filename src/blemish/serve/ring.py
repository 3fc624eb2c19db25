"""Pictures and maps on disk, bounded in days and bytes by verdict; what waits for review is never removed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, func, select

from blemish.serve.schema import kept, parts, pictures
from blemish.serve.settings import Keeping

Kept = tuple[str, str, str, int]  # view, kind, file, bytes
MOST_AT_ONCE = 2000
"""Files that are removed together, so that records do not wait long."""


def put_pictures(connection: Connection, station: str, part: str, verdict: str, files: Iterable[Kept]) -> None:
    """Note what was kept of a part."""
    row: dict[str, Any] = {"station": station, "part": part, "verdict": verdict, "taken": time.time()}
    rows = [{**row, "view": view, "kind": kind, "file": file, "size": size} for view, kind, file, size in files]
    connection.execute(pictures.insert(), rows)  # at once: each statement waits for whoever computes meanwhile
    _add_bytes(connection, verdict, sum(each["size"] for each in rows))


def find_excess(connection: Connection, retention: Mapping[str, Keeping], now: float) -> list[int]:
    """The numbers of the oldest pictures that are too many or too old."""
    totals = kept_bytes(connection)
    found = []
    for verdict, keeping in retention.items():
        found += _too_many(connection, verdict, keeping, totals.get(verdict, 0), now)
    return found


def forget_pictures(connection: Connection, numbers: Sequence[int]) -> list[str]:
    """Returns their files, to be removed after the commit; what waits for review by now stays."""
    columns = (pictures.c.n, pictures.c.file, pictures.c.verdict, pictures.c.size)
    gone = connection.execute(select(*columns).where(pictures.c.n.in_(numbers), ~_waits())).all()
    connection.execute(delete(pictures).where(pictures.c.n.in_([row.n for row in gone])))
    for row in gone:
        _add_bytes(connection, row.verdict, -row.size)
    return [row.file for row in gone]


def _too_many(connection: Connection, verdict: str, keeping: Keeping, total: int, now: float) -> list[int]:
    found, since = list[int](), now - 86400 * keeping.days
    chosen = select(pictures).where(pictures.c.verdict == verdict).order_by(pictures.c.n)
    first = connection.execute(chosen.limit(1)).first()
    if first is None or (total <= keeping.size and first.taken >= since):
        return found  # as a rule, and quickly
    for row in connection.execute(chosen.where(~_waits()).limit(MOST_AT_ONCE)):
        if total <= keeping.size and row.taken >= since:
            break
        total -= row.size
        found.append(row.n)
    return found


def _waits() -> Any:
    """Of a picture: whether its part waits for review."""
    own = (parts.c.station == pictures.c.station) & (parts.c.part == pictures.c.part)
    return select(parts.c.n).where(own, parts.c.waits).correlate(pictures).exists()


def kept_bytes(connection: Connection) -> dict[str, int]:
    """By verdict."""
    return {row.verdict: row.size for row in connection.execute(select(kept).where(kept.c.size > 0))}


def _add_bytes(connection: Connection, verdict: str, size: int) -> None:
    more = kept.update().where(kept.c.verdict == verdict).values(size=kept.c.size + size)
    if not connection.execute(more).rowcount:
        connection.execute(kept.insert().values(verdict=verdict, size=size))


def sweep(connection: Connection, folder: Path) -> int:
    """Remove files that nothing knows of, as a process that was killed leaves them, and add up the others.

    Returns how many were removed.
    """
    connection.execute(delete(kept))
    sizes = select(pictures.c.verdict, func.sum(pictures.c.size)).group_by(pictures.c.verdict)
    connection.execute(kept.insert().from_select(["verdict", "size"], sizes))
    known = set(connection.execute(select(pictures.c.file)).scalars())
    strange = [path for path in folder.iterdir() if path.name not in known] if folder.exists() else []
    for path in strange:
        path.unlink(missing_ok=True)
    return len(strange)
