"""What people say of parts: the next one that waits, judgements, and taking one back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from blemish.errors import BadInput, UnknownName
from blemish.serve.audit import note_act
from blemish.serve.schema import judgements, parts, pictures

MOST_NAMES = 500


class Judged(NamedTuple):
    """A part and what was said of it."""

    station: str
    part: str
    verdict: str
    type: str
    who: str


def oldest_for_review(connection: Connection, station: str = "") -> dict[str, Any] | None:
    """The oldest part that waits for a person, in plain values."""
    chosen = select(parts).where(parts.c.waits).order_by(parts.c.n).limit(1)
    found = connection.execute(chosen.where(parts.c.station == station) if station else chosen).mappings().first()
    return dict(found) if found else None


def count_for_review(connection: Connection, station: str = "") -> int:
    """How many parts wait."""
    chosen = select(func.count()).select_from(parts).where(parts.c.waits)
    return int(connection.execute(chosen.where(parts.c.station == station) if station else chosen).scalar_one())


def pictures_of(connection: Connection, station: str, part: str) -> list[dict[str, Any]]:
    """What is kept of a part: number, view and kind of each file."""
    chosen = select(pictures.c.n, pictures.c.view, pictures.c.kind, pictures.c.size)
    found = connection.execute(
        chosen.where(pictures.c.station == station, pictures.c.part == part).order_by(pictures.c.n)
    )
    return [dict(row) for row in found.mappings()]


def picture_file(connection: Connection, number: int) -> str:
    """A file's name in the ring; raises UnknownName."""
    found = connection.execute(select(pictures.c.file).where(pictures.c.n == number)).scalar()
    if found is None:
        raise UnknownName(f"there is no picture {number}, or it was removed to make room")
    return str(found)


def judge_part(connection: Connection, station: str, part: str, *, who: str, verdict: str, kind: str = "") -> Judged:
    """What a person says: accept or reject, and a type of defect; raises UnknownName and BadInput.

    Of several judgements of a part the last one that was not taken back counts.
    """
    if verdict not in ("accept", "reject"):
        raise BadInput(f"{verdict!r} is no judgement: accept or reject")
    if verdict == "accept" and kind:
        raise BadInput("a part that is accepted has no type of defect: leave it out")
    where = (parts.c.station == station, parts.c.part == part)
    before = connection.execute(select(parts.c.verdict).where(*where)).scalar()
    if before is None:
        raise UnknownName(f"{station} knows no part {part}")
    said = {"station": station, "part": part, "who": who, "verdict": verdict, "type": kind}
    connection.execute(judgements.insert().values(**said, at=time.time(), undone=False))
    connection.execute(parts.update().where(*where).values(waits=False))
    new = f"{verdict} {kind}".strip()
    note_act(connection, who=who, what="judge", subject=f"{station}/{part}", old=before, new=new)
    return Judged(station, part, verdict, kind, who)


def take_back(connection: Connection, who: str) -> Judged:
    """The last judgement of someone; the part waits again, if it did; raises UnknownName where there is none."""
    chosen = select(judgements).where(judgements.c.who == who, ~judgements.c.undone).order_by(judgements.c.n.desc())
    found = connection.execute(chosen.limit(1)).mappings().first()
    if not found:
        raise UnknownName(f"{who} has judged nothing that could be taken back")
    connection.execute(judgements.update().where(judgements.c.n == found["n"]).values(undone=True))
    station, part = found["station"], found["part"]
    other = judgement_of(connection, station, part)
    waits = (parts.c.verdict == "review") if other is None else False
    connection.execute(parts.update().where(parts.c.station == station, parts.c.part == part).values(waits=waits))
    old = f"{found['verdict']} {found['type']}".strip()
    note_act(connection, who=who, what="undo", subject=f"{station}/{part}", old=old)
    return Judged(station, part, found["verdict"], found["type"], who)


def judgement_of(connection: Connection, station: str, part: str) -> Judged | None:
    """The one that counts."""
    where = (judgements.c.station == station, judgements.c.part == part, ~judgements.c.undone)
    row = connection.execute(select(judgements).where(*where).order_by(judgements.c.n.desc()).limit(1)).first()
    return Judged(row.station, row.part, row.verdict, row.type, row.who) if row else None


def judgements_of(connection: Connection, station: str, names: Sequence[str]) -> dict[str, str]:
    """By part: "accept", or "reject" and perhaps a type, where a person has judged it."""
    found: dict[str, str] = {}
    for at in range(0, len(names), MOST_NAMES):  # a database takes only so many values at once
        some = names[at : at + MOST_NAMES]
        where = (judgements.c.station == station, judgements.c.part.in_(some), ~judgements.c.undone)
        for row in connection.execute(select(judgements).where(*where).order_by(judgements.c.n)):
            found[row.part] = f"{row.verdict} {row.type}".strip()
    return found


def list_judgements(connection: Connection, station: str, count: int) -> list[Judged]:
    """What people said last, a part once, the latest first."""
    where = (judgements.c.station == station, ~judgements.c.undone)
    rows = connection.execute(select(judgements).where(*where).order_by(judgements.c.n.desc()).limit(count))
    last: dict[str, Judged] = {}
    for row in rows:
        last.setdefault(row.part, Judged(row.station, row.part, row.verdict, row.type, row.who))
    return list(last.values())


def shown_pictures(connection: Connection, station: str, names: Sequence[str]) -> dict[str, int]:
    """By part: the number of what pages show of its first view, where that is kept."""
    found: dict[str, int] = {}
    for at in range(0, len(names), MOST_NAMES):
        some = names[at : at + MOST_NAMES]
        where = (pictures.c.station == station, pictures.c.part.in_(some), pictures.c.kind == "shown")
        for row in connection.execute(select(pictures.c.part, pictures.c.n).where(*where).order_by(pictures.c.n)):
            found.setdefault(row.part, row.n)
    return found
