"""What other thresholds, or another recipe, would have said of the last parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from blemish.calibration.thresholds import Calibration
from blemish.serve.review import judgements_of
from blemish.serve.schema import parts, pictures

LAST = 1000


class ScoredRow(NamedTuple):
    """A part of which a verdict was found."""

    part: str
    score: float
    judged: str
    by_type: bool  # its verdict is that of a type of defect, which thresholds do not change
    said: str = ""  # by a person: "accept", or "reject" and perhaps a type


class Flip(NamedTuple):
    """A part whose verdict changes."""

    part: str
    before: str
    after: str
    score: float
    said: str


def recent_scores(connection: Connection, station: str, recipes: Iterable[str], count: int = LAST) -> list[ScoredRow]:
    """The last parts that these recipes, by their hashes, have judged, the latest first."""
    columns = (parts.c.part, parts.c.score, parts.c.judged, parts.c.regions)
    chosen = select(*columns).where(
        parts.c.station == station, parts.c.recipe.in_(list(recipes)), parts.c.judged != "", parts.c.score.is_not(None)
    )
    rows = connection.execute(chosen.order_by(parts.c.n.desc()).limit(count)).all()
    said = judgements_of(connection, station, [row.part for row in rows])
    return [
        ScoredRow(
            row.part, row.score, row.judged, any(each.get("severity") for each in row.regions), said.get(row.part, "")
        )
        for row in rows
    ]


def flips_of(rows: Sequence[ScoredRow], calibration: Calibration) -> list[Flip]:
    """By other thresholds on the same scores; of several views the worst, which is that of the highest score."""
    after = [row.judged if row.by_type else calibration.verdict(row.score) for row in rows]
    return [
        Flip(row.part, row.judged, now, row.score, row.said)
        for row, now in zip(rows, after, strict=True)
        if now != row.judged
    ]


def count_flips(flips: Iterable[Flip]) -> list[tuple[str, str, int]]:
    """(before, after, how many), the most frequent first."""
    found = Counter((each.before, each.after) for each in flips)
    return [(before, after, count) for (before, after), count in found.most_common()]


class KeptPart(NamedTuple):
    """A part and the pictures that are kept of it, a file a view."""

    part: str
    judged: str
    said: str
    files: Mapping[str, str]  # by view: a name in the ring


def recent_parts(connection: Connection, station: str, count: int = LAST) -> list[KeptPart]:
    """The last parts with a verdict, whether pictures are kept of them or not, the latest first."""
    chosen = select(parts.c.part, parts.c.judged).where(parts.c.station == station, parts.c.judged != "")
    rows = connection.execute(chosen.order_by(parts.c.n.desc()).limit(count)).all()
    return kept_parts(connection, station, {row.part: row.judged for row in rows})


def kept_parts(connection: Connection, station: str, judged: Mapping[str, str]) -> list[KeptPart]:
    """Parts by id, and the verdict that was found of each, with their pictures."""
    files: dict[str, dict[str, str]] = {part: {} for part in judged}
    for some in _chunks(list(judged)):
        where = (pictures.c.station == station, pictures.c.kind == "picture", pictures.c.part.in_(some))
        for row in connection.execute(select(pictures).where(*where)):
            files[row.part][row.view] = row.file
    said = judgements_of(connection, station, list(judged))
    return [KeptPart(part, verdict, said.get(part, ""), files[part]) for part, verdict in judged.items()]


def _chunks(values: Sequence[str], size: int = 500) -> list[Sequence[str]]:
    """A database takes only so many values at once."""
    return [values[at : at + size] for at in range(0, len(values), size)]


def as_json(flips: Sequence[Flip], examined: int) -> dict[str, Any]:
    """Plain values."""
    return {"examined": examined, "flips": [list(each) for each in flips], "changes": count_flips(flips)}
