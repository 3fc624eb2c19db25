"""`/api/v1`: views in, verdicts out, and everything that is known of parts, recipes, states and the line's health."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, Field

from blemish.errors import BlemishError, CannotWrite, UnknownName
from blemish.serve.access import COOKIE, IDLE_SECONDS, Access, Person, refuse_stranger, require
from blemish.serve.api_admin import add_admin
from blemish.serve.api_quality import add_quality
from blemish.serve.api_review import PART, PLAIN, PartId, StationName, add_review
from blemish.serve.desk import Busy, Conflict
from blemish.serve.events import TooManyListeners
from blemish.serve.front import Front
from blemish.serve.pages_of_trends import add_exports
from blemish.serve.proposals import OutOfDate
from blemish.serve.quality import NotAlone, Quality
from blemish.serve.queries import COUNTED, Wanted, count_verdicts, list_parts
from blemish.serve.records import count_ids
from blemish.serve.states import OPERATIONAL, Command, WrongState
from blemish.serve.stations import Station
from blemish.version import VERSION

PREFIX = "/api/v1"
VIEW_PATH = re.compile(rf"{PREFIX}/stations/[^/]+/parts/[^/]+/views/[^/]+")
PICTURES = ("image/png", "image/jpeg", "image/bmp", "image/tiff", "image/webp", "application/octet-stream", "")
ARRAY = "application/x-npy"
STATUS: dict[type[BlemishError], int] = {
    UnknownName: 404, NotAlone: 403, WrongState: 409, OutOfDate: 409, Conflict: 409,
    Busy: 503, CannotWrite: 503, TooManyListeners: 503,
}  # fmt: skip
RETRY = {"Retry-After": "1"}
Product = Annotated[str, Query(max_length=200, pattern=PLAIN)]
Batch = Annotated[str, Query(max_length=128, pattern=PLAIN)]


class Credentials(BaseModel):
    """Of a person."""

    name: str = Field(max_length=64)
    password: str = Field(max_length=1024)


class CommandBody(BaseModel):
    """What goes with a command."""

    recipe: str = Field(default="", max_length=64)  # to prepare; the first one if left out
    part: str = Field(default="", max_length=128, pattern=PART)  # of a single job; else the next one
    product: str = Field(default="", max_length=200, pattern=PLAIN)  # of that part


def api_of(front: Front, access: Access, quality: Quality) -> APIRouter:
    """All routes."""
    router = APIRouter(prefix=PREFIX)
    for add in (_add_views, _add_parts, _add_commands, _add_line, _add_sessions, add_review):
        add(router, front, access)
    add_quality(router, front, access, quality)
    add_exports(router, front, access, quality)
    add_admin(router, front, access)
    return router


def refusal(error: BlemishError) -> JSONResponse:
    """An error in HTTP's terms."""
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 422)
    return JSONResponse({"detail": str(error)}, status, RETRY if status == 503 else None)


def _add_views(router: APIRouter, front: Front, access: Access) -> None:
    sends = Depends(require(access, "operator", station="station"))
    ids = count_ids()

    @router.post("/stations/{station}/parts", status_code=201, dependencies=[sends])
    async def count_part(station: StationName) -> dict[str, str]:
        """The next id, for who has none."""
        front.station(station)
        return {"part": next(ids)}

    @router.post("/stations/{station}/parts/{part}/views/{view}", dependencies=[sends])
    async def send_view(
        station: StationName, part: PartId, view: StationName, request: Request,
        product: Product = "", batch: Batch = "",
    ) -> Response:  # fmt: skip
        """Inspect a picture (its bytes) or an array (.npy): the part's record with its last view, 202 before."""
        found, is_array = front.station(station), _is_array(request)
        await front.let_store_catch_up()
        async with _reading(found, part):
            content = await request.body()
        answer = await front.inspect(
            found, part, view, content, is_array=is_array, product=product, batch=batch
        )  # fmt: skip
        if answer.record is None:
            return JSONResponse({"part": part, "missing": list(answer.missing)}, 202)
        said = answer.record.as_json() | {"repeated": answer.repeated}
        if answer.record.outcome == "unreadable":
            return JSONResponse(said | {"detail": answer.record.error}, 422)
        return JSONResponse(said)


def _add_parts(router: APIRouter, front: Front, access: Access) -> None:
    looks = Depends(require(access, "viewer", station="station"))

    @router.get("/stations/{station}/parts/{part}", dependencies=[looks])
    async def get_part(station: StationName, part: PartId) -> Response:
        """A part's record; 202 while it is inspected."""
        found = front.station(station)
        if record := await front.recorded(found, part):
            return JSONResponse(record.as_json())
        if part not in found.desk.open:
            raise HTTPException(404, f"{station} knows no part {part[:128]}")
        missing = [view for view in found.settings.views if view not in found.desk.open[part].begun]
        return JSONResponse({"part": part, "missing": missing}, 202)

    @router.get("/stations/{station}/counts", dependencies=[looks])
    async def get_counts(station: StationName) -> dict[str, int]:
        """Of the latest 1,000 parts: how many had each verdict, and how many were late."""
        front.station(station)
        found: dict[str, int] = await front.look_up(lambda connection: count_verdicts(connection, station, COUNTED))
        return found

    @router.get("/stations/{station}/parts", dependencies=[looks])
    async def get_parts(station: StationName, wanted: Annotated[PartsQuery, Query()]) -> list[dict[str, Any]]:
        """The latest first; `before` is the number `n` of the last one, for the next page."""
        front.station(station)
        chosen = Wanted(station, wanted.verdict, wanted.product, wanted.batch, wanted.recipe, wanted.before)
        found: list[dict[str, Any]] = await front.look_up(
            lambda connection: list_parts(connection, chosen, wanted.count)
        )
        return found


class PartsQuery(BaseModel):
    """Which parts are asked for."""

    verdict: str = Field("", max_length=8, pattern=PLAIN)
    product: str = Field("", max_length=200, pattern=PLAIN)
    batch: str = Field("", max_length=128, pattern=PLAIN)
    recipe: str = Field("", max_length=64, pattern=PLAIN)
    before: int | None = Field(None, ge=0, le=2**62)
    count: int = Field(100, ge=1, le=1000)


def _add_commands(router: APIRouter, front: Front, access: Access) -> None:
    commands, looks = Depends(require(access, "operator")), Depends(require(access, "viewer"))

    @router.post("/stations/{station}/commands/{command}", dependencies=[commands])
    async def give_command(
        station: StationName, command: Command, request: Request, body: CommandBody | None = None
    ) -> dict[str, Any]:
        """prepare, unprepare, start_single, start_continuous, stop, abort, halt or reset; 409 in the wrong state."""
        found, given = front.station(station), body or CommandBody()
        who = request.state.person.name
        await front.obey(who, found, command, given.recipe, part=given.part, product=given.product)
        return found.as_json()

    @router.get("/recipes", dependencies=[looks])
    async def get_recipes() -> dict[str, Any]:
        """By station: the recipes it may use, and the hash of the one it uses."""
        return {
            name: {"recipes": list(each.settings.recipes), "recipe": each.recipe, "hash": each.hash}
            for name, each in front.stations.items()
        }


def _add_line(router: APIRouter, front: Front, access: Access) -> None:
    looks = Depends(require(access, "viewer"))

    @router.get("/health", dependencies=[looks])
    async def get_health() -> dict[str, Any]:
        """What every station does, and what is wrong."""
        stations = [each.as_json() for each in front.stations.values()]
        return {"line": front.settings.name, "version": VERSION, "stations": stations, "alarms": front.alarms}

    @router.get("/connectors", dependencies=[looks])
    async def get_connectors() -> list[dict[str, Any]]:
        """How each connector is: name, kind, state, since when, the last error, counters."""
        return front.connectors.as_json()

    @router.get("/ready")
    async def get_ready() -> Response:
        """200 when every station has a recipe that is ready, 503 before."""
        ready = all(each.state in OPERATIONAL and each.hash for each in front.stations.values())
        return JSONResponse({"ready": ready}, 200 if ready else 503, None if ready else RETRY)

    @router.get("/metrics", dependencies=[looks])
    async def get_metrics() -> Response:
        """In Prometheus's format."""
        front.count_waiting()
        return Response(front.metrics.as_text(), media_type="text/plain; version=0.0.4")

    @router.get("/events", dependencies=[looks])
    async def get_events() -> Response:
        """Server-sent events: part, state, alarm; lost, for who is too slow."""
        listener = front.broker.listen()
        first = await anext(listener)

        async def told() -> AsyncIterator[str]:
            yield first
            async for text in listener:
                yield text

        return StreamingResponse(told(), media_type="text/event-stream")


def _add_sessions(router: APIRouter, front: Front, access: Access) -> None:
    looks = Depends(require(access, "viewer"))

    @router.post("/login")
    async def login(credentials: Credentials, request: Request) -> Response:
        """A session, as a cookie; what changes anything then needs the header X-CSRF-Token."""
        refuse_stranger(request, front.settings)
        address = request.client.host if request.client else ""
        secret, person = await access.login(credentials.name, credentials.password, address)
        said = JSONResponse({"name": person.name, "role": person.role, "csrf": person.csrf})
        secure = front.settings.server.is_encrypted
        said.set_cookie(COOKIE, secret, max_age=IDLE_SECONDS, httponly=True, samesite="strict", secure=secure)
        return said

    @router.post("/logout", status_code=204, dependencies=[looks])
    async def logout(request: Request) -> Response:
        """End the session."""
        access.logout(request)
        return Response(status_code=204)

    @router.get("/me", dependencies=[looks])
    async def get_me(request: Request) -> dict[str, str]:
        """Who asks, and the token that goes with what changes anything."""
        person: Person = request.state.person
        return {"name": person.name, "role": person.role, "station": person.station, "csrf": person.csrf}


@asynccontextmanager
async def _reading(station: Station, part: str) -> AsyncIterator[None]:
    """Bytes on their way count as views that wait: Busy is said before they are read."""
    station.admit(part, station.reading)
    station.reading += 1
    try:
        yield
    finally:
        station.reading -= 1


def _is_array(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != ARRAY and kind not in PICTURES:
        raise HTTPException(415, f"{kind[:80]} is not taken: send a picture's bytes, as image/png, or .npy as {ARRAY}")
    return kind == ARRAY
