"""What connectors have yet to hand on: a letter a part, written with its record and removed when it has arrived."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, select

from blemish.serve.queries import record_of
from blemish.serve.records import PartRecord
from blemish.serve.schema import outbox, parts


class Letter(NamedTuple):
    """A record that one connector has to hand on."""

    number: int
    kind: str  # part: what was answered; judged: the true result of what was late
    record: PartRecord


def put_letters(connection: Connection, connectors: Collection[str], record: PartRecord) -> None:
    """In the transaction that writes the record."""
    kind = "judged" if record.late and record.judged else "part"
    for name in connectors:
        connection.execute(outbox.insert().values(connector=name, station=record.station, part=record.part, kind=kind))


def list_letters(connection: Connection, connector: str, count: int) -> list[Letter]:
    """The oldest first."""
    own = (parts.c.station == outbox.c.station) & (parts.c.part == outbox.c.part)
    chosen = select(outbox.c.n.label("number"), outbox.c.kind, parts).join(parts, own)
    rows = connection.execute(chosen.where(outbox.c.connector == connector).order_by(outbox.c.n).limit(count))
    return [Letter(row["number"], row["kind"], record_of(row)) for row in rows.mappings()]


def drop_letters(connection: Connection, numbers: Sequence[int]) -> None:
    """They have arrived."""
    connection.execute(delete(outbox).where(outbox.c.n.in_(numbers)))


def keep_letters_of(connection: Connection, connectors: Collection[str]) -> Any:
    """Remove those of connectors that are no longer there."""
    return connection.execute(delete(outbox).where(outbox.c.connector.not_in(connectors))).rowcount
