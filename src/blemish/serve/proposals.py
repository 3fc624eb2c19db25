"""Changes of recipes that people propose, and what becomes of them: rows that only ever go forwards.

working -> proposed -> live -> undone, or failed after working, or withdrawn after proposed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, select

from blemish.errors import BadInput, UnknownName
from blemish.serve.audit import note_act
from blemish.serve.schema import proposals

Kind = Literal["thresholds", "teaching", "transfer"]
Standing = Literal["working", "failed", "proposed", "withdrawn", "live", "undone"]
FOLLOWS: Mapping[Standing, tuple[Standing, ...]] = {
    "working": ("proposed", "failed"), "proposed": ("live", "withdrawn"), "live": ("undone",),
}  # fmt: skip


class OutOfDate(BadInput):
    """A proposal whose time is over."""


class Proposal(NamedTuple):
    """One row."""

    n: int
    station: str
    recipe: str  # its name in line.toml
    kind: Kind
    standing: Standing
    who: str
    at: float
    settled_by: str
    settled: float
    old: str  # hash of the recipe that it is to replace
    new: str
    said: Mapping[str, Any]


def put_proposal(
    connection: Connection, *, station: str, recipe: str, kind: Kind, who: str, old: str, said: Mapping[str, Any]
) -> int:
    """Begin one; returns its number."""
    row = {"station": station, "recipe": recipe, "kind": kind, "who": who, "old": old, "said": dict(said)}
    rest = {"standing": "working", "at": time.time(), "settled_by": "", "settled": 0.0, "new": ""}
    made = connection.execute(proposals.insert().values(**row, **rest)).inserted_primary_key
    assert made is not None
    return int(made[0])


def find_proposal(connection: Connection, station: str, number: int) -> Proposal:
    """Raises UnknownName."""
    where = (proposals.c.station == station, proposals.c.n == number)
    found = connection.execute(select(proposals).where(*where)).mappings().first()
    if found is None:
        raise UnknownName(f"{station} has no proposal {number}")
    return Proposal(**found)


def list_proposals(connection: Connection, station: str, count: int = 20) -> list[Proposal]:
    """The latest first."""
    chosen = select(proposals).where(proposals.c.station == station).order_by(proposals.c.n.desc()).limit(count)
    return [Proposal(**row) for row in connection.execute(chosen).mappings()]


def live_proposal(connection: Connection, station: str, recipe: str, current: str) -> Proposal:
    """The one that made the recipe what it is, by its hash; raises OutOfDate where none did."""
    where = (proposals.c.station == station, proposals.c.recipe == recipe, proposals.c.standing == "live")
    chosen = select(proposals).where(*where, proposals.c.new == current).order_by(proposals.c.n.desc()).limit(1)
    if found := connection.execute(chosen).mappings().first():
        return Proposal(**found)
    raise OutOfDate(f"nothing that was put live here made {recipe} what it is: there is nothing to undo")


def move_proposal(
    connection: Connection,
    proposal: Proposal,
    standing: Standing,
    *,
    who: str,
    new: str = "",
    said: Mapping[str, Any] | None = None,
) -> Proposal:
    """On to that, and into the audit with the person; raises OutOfDate where it is there, or past it."""
    found = find_proposal(connection, proposal.station, proposal.n)
    if standing not in FOLLOWS.get(found.standing, ()):
        raise OutOfDate(f"proposal {found.n} is {found.standing}: it cannot be {standing} now")
    values = {"standing": standing, "settled_by": who, "settled": time.time(), "new": new or found.new}
    values |= {"said": {**found.said, **said}} if said else {}
    connection.execute(proposals.update().where(proposals.c.n == found.n).values(**values))
    moved = find_proposal(connection, found.station, found.n)
    old, now = (moved.new, moved.old) if standing == "undone" else (moved.old, moved.new)
    subject = f"{moved.station}/{moved.recipe} {moved.n}"
    note_act(connection, who=who, what=f"{moved.kind} {standing}", subject=subject, old=old, new=now)
    return moved


def give_up_work(connection: Connection) -> None:
    """What a line that was stopped left unfinished."""
    where = proposals.c.standing == "working"
    connection.execute(proposals.update().where(where).values(standing="failed", settled=time.time()))


def hashes_alike(connection: Connection, station: str, current: str) -> set[str]:
    """Hashes of the recipes that give the same scores as that one: between them only thresholds were changed."""
    where = (proposals.c.station == station, proposals.c.kind == "thresholds", proposals.c.new != "")
    pairs = [{row.old, row.new} for row in connection.execute(select(proposals.c.old, proposals.c.new).where(*where))]
    found = {current}
    while more := set().union(*(pair for pair in pairs if pair & found)) - found:
        found |= more
    return found
