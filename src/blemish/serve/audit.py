"""Who did what, when, to what: rows that each hold the hash of the one before, so that none can be changed unseen.

hash = sha256 of the row's other values, as JSON. Whoever can write the database can make a whole new chain, or cut its
end off; a hash that was written down elsewhere tells.
"""

from __future__ import annotations

import json
import time
from hashlib import sha256
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from blemish.errors import BadData
from blemish.serve.schema import audit

FIRST = "0" * 64


class Verified(NamedTuple):
    """A chain that holds."""

    rows: int
    head: str  # the hash of the last row


def note_act(connection: Connection, *, who: str, what: str, subject: str = "", old: str = "", new: str = "") -> str:
    """Append a row; returns its hash."""
    last = connection.execute(select(audit.c.n, audit.c.hash).order_by(audit.c.n.desc()).limit(1)).first()
    number, previous = (last.n + 1, last.hash) if last else (1, FIRST)
    row = {"n": number, "at": time.time(), "who": who, "what": what, "subject": subject, "old": old, "new": new}
    row |= {"previous": previous}
    connection.execute(audit.insert().values(**row, hash=_digest(row)))
    return _digest(row)


def verify_audit(connection: Connection, head: str = "") -> Verified:
    """Raises BadData with the first row that does not hold; `head` is a hash that must be in the chain."""
    previous, number, is_there = FIRST, 0, not head
    for number, found in enumerate(connection.execute(select(audit).order_by(audit.c.n)).mappings(), start=1):
        row = dict(found)
        own = row.pop("hash")
        if row["n"] != number or row["previous"] != previous or _digest(row) != own:
            raise BadData(f"the audit does not hold from row {number} on: it was changed, or a row was removed")
        previous, is_there = own, is_there or own == head
    if not is_there:
        raise BadData(f"the audit has no row {head[:12]}: its end was cut off, or it is another one")
    return Verified(number, previous)


def _digest(row: dict[str, Any]) -> str:
    return sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()
