"""The part of `/api/v1` for who may do everything: people, tokens of machines, the audit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from sqlalchemy import Connection, select

from blemish.errors import BadInput, UnknownName
from blemish.serve.access import Access, require
from blemish.serve.api_review import PLAIN
from blemish.serve.audit import note_act, verify_audit
from blemish.serve.front import Front
from blemish.serve.queries import CHUNK
from blemish.serve.schema import audit
from blemish.serve.tables import csv_lines
from blemish.serve.users import list_users, make_token, put_user, remove_token, remove_user

AUDIT_COLUMNS = ("n", "at", "who", "what", "subject", "old", "new", "previous", "hash")
Name = Annotated[str, Field(max_length=64, pattern=PLAIN)]


class UserBody(BaseModel):
    """A person."""

    name: Name
    role: str = Field(max_length=8)
    password: str = Field(max_length=1024)


class TokenBody(BaseModel):
    """A machine, and the station that it sends views to."""

    name: Name
    station: Name


class RetentionBody(BaseModel):
    """Limits of pictures of a verdict; without them those of `line.toml`."""

    verdict: str = Field(max_length=8)
    days: float | None = Field(None, allow_inf_nan=False)
    gigabytes: float | None = Field(None, allow_inf_nan=False)


class NameBody(BaseModel):
    """Of a person or a machine."""

    name: Name


def add_admin(router: APIRouter, front: Front, access: Access) -> None:
    """Its routes."""
    rules = Depends(require(access, "admin"))

    async def change(work: Callable[[Connection], Any]) -> Any:
        return await asyncio.wrap_future(front.store.change(work))

    @router.post("/users", status_code=201, dependencies=[rules])
    async def save_user(body: UserBody, request: Request) -> dict[str, str]:
        """Let someone log in, or give one another role and password; whoever is logged in so is logged out."""
        who = request.state.person.name
        await change(lambda connection: _save_user(connection, body, who))
        access.forget_name(body.name)
        return {"name": body.name, "role": body.role}

    @router.post("/users/remove", dependencies=[rules])
    async def forget_user(body: NameBody, request: Request) -> dict[str, str]:
        """Let someone in no more, from now on."""
        who = request.state.person.name
        await change(lambda connection: _remove_user(connection, body.name, who))
        access.forget_name(body.name)
        return {"name": body.name}

    _add_tokens(router, front, access, rules)
    _add_retention(router, front, rules)
    _add_audit(router, front, rules)


def _add_tokens(router: APIRouter, front: Front, access: Access, rules: Any) -> None:
    @router.post("/tokens", status_code=201, dependencies=[rules])
    async def save_token(body: TokenBody, request: Request) -> dict[str, str]:
        """A token, which is shown this once."""
        who = request.state.person.name
        front.station(body.station)

        def make(connection: Connection) -> str:
            token = make_token(connection, body.name, body.station)
            note_act(connection, who=who, what="token", subject=body.name, new=body.station)
            return token

        return {"name": body.name, "token": await asyncio.wrap_future(front.store.change(make))}

    @router.post("/tokens/remove", dependencies=[rules])
    async def forget_token(body: NameBody, request: Request) -> dict[str, str]:
        """Let a machine in no more, from now on."""
        who = request.state.person.name

        def remove(connection: Connection) -> None:
            remove_token(connection, body.name)
            note_act(connection, who=who, what="remove", subject=body.name)

        await asyncio.wrap_future(front.store.change(remove))
        access.forget_name(body.name)
        return {"name": body.name}


def _add_retention(router: APIRouter, front: Front, rules: Any) -> None:
    @router.post("/retention", dependencies=[rules])
    async def set_retention(body: RetentionBody, request: Request) -> dict[str, dict[str, float]]:
        """Keep more or fewer pictures of a verdict, from now on; what waits for review always stays."""
        given = body.model_dump(exclude={"verdict"}, exclude_none=True)
        await front.keep(request.state.person.name, body.verdict, given or None)
        return {name: {"days": each.days, "gigabytes": each.size / 2**30} for name, each in front.retention.items()}


def _add_audit(router: APIRouter, front: Front, rules: Any) -> None:
    @router.get("/audit", dependencies=[rules])
    async def get_audit(
        before: Annotated[int | None, Query(ge=0, le=2**62)] = None, count: Annotated[int, Query(ge=1, le=1000)] = 100
    ) -> list[dict[str, Any]]:
        """The latest rows first; `before` is the number of the last one, for the next page."""
        found: list[dict[str, Any]] = await front.look_up(lambda connection: list_audit(connection, before, count))
        return found

    @router.get("/audit/verify", dependencies=[rules])
    async def check_audit(head: Annotated[str, Query(max_length=64, pattern=PLAIN)] = "") -> dict[str, Any]:
        """Whether no row was changed or removed; 422 with the first one that was."""
        found = await front.look_up(lambda connection: verify_audit(connection, head))
        return dict(found._asdict())

    @router.get("/audit.csv", dependencies=[rules])
    async def get_audit_table() -> StreamingResponse:
        """All of it."""
        headers = {"Content-Disposition": 'attachment; filename="audit.csv"'}
        return StreamingResponse(csv_lines(AUDIT_COLUMNS, _each_act(front)), media_type="text/csv", headers=headers)


def list_audit(connection: Connection, before: int | None, count: int) -> list[dict[str, Any]]:
    """The latest rows first."""
    chosen = select(audit).order_by(audit.c.n.desc()).limit(count)
    rows = connection.execute(chosen if before is None else chosen.where(audit.c.n < before)).mappings()
    return [dict(row) for row in rows]


def _each_act(front: Front) -> Iterator[dict[str, Any]]:
    last = 0
    while True:
        with front.store.read() as connection:
            chosen = select(audit).where(audit.c.n > last).order_by(audit.c.n).limit(CHUNK)
            rows = [dict(row) for row in connection.execute(chosen).mappings()]
        if not rows:
            return
        last = rows[-1]["n"]
        yield from rows


def _save_user(connection: Connection, body: UserBody, who: str) -> None:
    """Somebody must be able to make others: raises BadInput for a change after which there is no admin."""
    old = list_users(connection).get(body.name, "")
    put_user(connection, body.name, body.role, body.password)
    _require_admin(connection)
    note_act(connection, who=who, what="user", subject=body.name, old=old, new=body.role)


def _remove_user(connection: Connection, name: str, who: str) -> None:
    old = list_users(connection).get(name, "")
    if not old:
        raise UnknownName(f"there is no user {name}")
    remove_user(connection, name)
    _require_admin(connection)
    note_act(connection, who=who, what="remove", subject=name, old=old)


def _require_admin(connection: Connection) -> None:
    if "admin" not in list_users(connection).values():
        raise BadInput("then nobody could change anything here: let there be an admin first, and keep one")
