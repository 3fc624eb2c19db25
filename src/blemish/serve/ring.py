"""Pictures and maps on disk, bounded in days and bytes by verdict; what waits for review is never removed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, select

from blemish.serve.schema import parts, pictures
from blemish.serve.settings import Keeping

Kept = tuple[str, str, int]  # kind, file, bytes


def put_pictures(connection: Connection, station: str, part: str, view: str, files: Iterable[Kept]) -> None:
    """Note what was kept of a view."""
    row = {"station": station, "part": part, "view": view, "taken": time.time()}
    for kind, file, size in files:
        connection.execute(pictures.insert().values(**row, kind=kind, file=file, size=size))


def evict(connection: Connection, retention: Mapping[str, Keeping], now: float) -> list[str]:
    """Forget the oldest pictures that are too many or too old; returns their files, to be removed after the commit."""
    gone: list[RowMapping] = []
    for verdict, keeping in retention.items():
        gone += _too_many(connection, verdict, keeping, now)
    if gone:
        connection.execute(delete(pictures).where(pictures.c.n.in_([each["n"] for each in gone])))
    return [each["file"] for each in gone]


def _too_many(connection: Connection, verdict: str, keeping: Keeping, now: float) -> list[RowMapping]:
    total, found = kept_bytes(connection).get(verdict, 0), []
    for row in connection.execute(_oldest(verdict)).mappings():
        if total <= keeping.size and row["taken"] >= now - 86400 * keeping.days:
            break
        total -= row["size"]
        found.append(row)
    return found


def _oldest(verdict: str) -> Any:
    chosen = select(pictures.c.n, pictures.c.file, pictures.c.size, pictures.c.taken)
    there = (parts.c.station == pictures.c.station) & (parts.c.part == pictures.c.part)
    return (
        chosen.join(parts, there).where(parts.c.verdict == verdict, ~parts.c.waits).order_by(pictures.c.n).limit(2000)
    )


def kept_bytes(connection: Connection) -> dict[str, int]:
    """By verdict."""
    there = (parts.c.station == pictures.c.station) & (parts.c.part == pictures.c.part)
    chosen = select(parts.c.verdict, func.sum(pictures.c.size)).select_from(pictures.join(parts, there))
    return {verdict: int(size) for verdict, size in connection.execute(chosen.group_by(parts.c.verdict))}


def sweep(connection: Connection, folder: Path) -> int:
    """Remove files that nothing knows of, as a process that was killed leaves them; returns how many."""
    known = set(connection.execute(select(pictures.c.file)).scalars())
    strange = [path for path in folder.iterdir() if path.name not in known] if folder.exists() else []
    for path in strange:
        path.unlink(missing_ok=True)
    return len(strange)
