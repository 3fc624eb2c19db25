"""The part of `/api/v1` by which people judge: the queue, pictures, judgements."""

from __future__ import annotations

import asyncio
import mimetypes
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from blemish.errors import UnknownName
from blemish.serve.access import Access, require
from blemish.serve.front import Front
from blemish.serve.keys import NAME
from blemish.serve.review import (
    Judged,
    count_for_review,
    judge_part,
    judgement_of,
    oldest_for_review,
    picture_file,
    pictures_of,
    take_back,
)
from blemish.serve.similar import Similar

mimetypes.add_type("image/webp", ".webp")
PLAIN = r"^[^\x00-\x1f\x7f]*$"
"""Without control characters, which databases and consoles mishandle."""
StationName = Annotated[str, Path(pattern=f"^{NAME.pattern}$")]
PART = r"^[^\x00-\x1f\x7f/]*$"
PartId = Annotated[str, Path(min_length=1, max_length=128, pattern=PART)]


class JudgementBody(BaseModel):
    """What a person says of a part."""

    verdict: str = Field(max_length=8)
    type: str = Field("", max_length=100, pattern=PLAIN)


def add_review(router: APIRouter, front: Front, access: Access) -> None:
    """Its routes."""
    looks = Depends(require(access, "viewer"))
    judges = Depends(require(access, "operator"))

    @router.get("/review", dependencies=[looks])
    async def get_next(station: Annotated[str, Query(max_length=64, pattern=PLAIN)] = "") -> dict[str, Any]:
        """The oldest part that waits for a person, with its pictures, and how many wait."""
        found: dict[str, Any] = await front.look_up(lambda connection: _next(connection, station))
        return found

    @router.get("/stations/{station}/parts/{part}/pictures", dependencies=[looks])
    async def get_pictures(station: StationName, part: PartId) -> dict[str, Any]:
        """What is kept of a part, and what a person said of it."""
        found: dict[str, Any] = await front.look_up(lambda connection: _kept(connection, station, part))
        return found

    _add_similar(router, front, looks)

    @router.get("/pictures/{number}", dependencies=[looks])
    async def get_picture(number: Annotated[int, Path(ge=0, le=2**62)]) -> FileResponse:
        """A file of the ring."""
        name = await front.look_up(lambda connection: picture_file(connection, number))
        path = front.ring.folder / name
        if not path.is_file():
            raise UnknownName(f"picture {number} is not on the disk any more")
        return FileResponse(path, media_type=mimetypes.guess_type(name)[0] or "application/octet-stream")

    @router.post("/stations/{station}/parts/{part}/judgement", dependencies=[judges])
    async def judge(station: StationName, part: PartId, body: JudgementBody, request: Request) -> dict[str, Any]:
        """Accept or reject, for the person who asks."""
        who = request.state.person.name
        front.station(station)
        return await _told(
            front,
            "judgement",
            lambda connection: judge_part(connection, station, part, who=who, verdict=body.verdict, kind=body.type),
        )

    @router.post("/review/undo", dependencies=[judges])
    async def undo(request: Request) -> dict[str, Any]:
        """Take back one's own last judgement; the part waits again."""
        who = request.state.person.name
        return await _told(front, "undo", lambda connection: take_back(connection, who))


def _add_similar(router: APIRouter, front: Front, looks: Any) -> None:
    similar = Similar(front)

    @router.get("/stations/{station}/parts/{part}/similar", dependencies=[looks])
    async def get_similar(
        station: StationName, part: PartId, view: Annotated[str, Query(max_length=64, pattern=PLAIN)]
    ) -> dict[str, Any]:
        """Of the last good parts the one that looks most like it in this view; `picture` is its number, or null."""
        found = await similar.find(station, part, view)
        return {"part": found.part if found else "", "picture": found.n if found else None}


async def _told(front: Front, kind: str, work: Any) -> dict[str, Any]:
    found: Judged = await asyncio.wrap_future(front.store.change(work))
    front.broker.tell(kind, found._asdict())
    return found._asdict()


def _next(connection: Connection, station: str) -> dict[str, Any]:
    part = oldest_for_review(connection, station)
    kept = pictures_of(connection, part["station"], part["part"]) if part else []
    return {"part": part, "pictures": kept, "waiting": count_for_review(connection, station)}


def _kept(connection: Connection, station: str, part: PartId) -> dict[str, Any]:
    said = judgement_of(connection, station, part)
    return {"pictures": pictures_of(connection, station, part), "judgement": said and said._asdict()}
