"""How long and how many pictures are kept: as `line.toml` says, or as an admin has said since, on the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, select

from blemish.errors import BadInput
from blemish.fields import Fields
from blemish.serve.audit import note_act
from blemish.serve.schema import retention
from blemish.serve.settings import Keeping, keeping_at


def keeping_of(verdict: str, values: Mapping[str, Any], usual: Mapping[str, Keeping]) -> Keeping:
    """Of a verdict, by `days` and `gigabytes`; raises BadInput as it does for `line.toml`."""
    if verdict not in usual:
        raise BadInput(f"{verdict!r} is no verdict: {', '.join(usual)}")
    return keeping_at(Fields("retention", verdict, values), (usual[verdict].days, usual[verdict].size / 2**30))


def read_retention(connection: Connection, usual: Mapping[str, Keeping]) -> dict[str, Keeping]:
    """By verdict; `usual` is what `line.toml` says."""
    found = {row.verdict: Keeping(row.days, row.size) for row in connection.execute(select(retention))}
    return {verdict: found.get(verdict, each) for verdict, each in usual.items()}


def put_retention(connection: Connection, verdict: str, keeping: Keeping | None, who: str, before: Keeping) -> None:
    """Keep as many from now on, or, by None, as `line.toml` says."""
    connection.execute(delete(retention).where(retention.c.verdict == verdict))
    if keeping:
        connection.execute(retention.insert().values(verdict=verdict, days=keeping.days, size=keeping.size))
    new = _spell(keeping) if keeping else "line.toml"
    note_act(connection, who=who, what="retention", subject=verdict, old=_spell(before), new=new)


def kept_verdicts(rules: Mapping[str, Keeping]) -> set[str]:
    """Those of which anything is kept."""
    return {verdict for verdict, each in rules.items() if each.days and each.size}


def _spell(keeping: Keeping) -> str:
    return f"{keeping.days:g} days, {keeping.size / 2**30:g} GiB"
