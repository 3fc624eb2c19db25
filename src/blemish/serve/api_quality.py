"""The part of `/api/v1` by which people change recipes: what would change, proposals, teaching, undo."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, Field

from blemish.serve.access import Access, require
from blemish.serve.api_review import PLAIN, StationName
from blemish.serve.changes import count_flips
from blemish.serve.front import Front
from blemish.serve.proposals import Proposal
from blemish.serve.quality import MOST_TAUGHT, Quality
from blemish.serve.words import language_of, spell_sentence

Number = Annotated[int, Path(ge=0, le=2**62)]
MOST_SHOWN = 50
PartName = Annotated[str, Field(max_length=128, pattern=PLAIN)]


class ThresholdsBody(BaseModel):
    """Scores: below `accept` accepts, from `reject` on rejects; "inf" and "-inf" too."""

    accept: float
    reject: float


class LessonBody(BaseModel):
    """Parts that people judged: what was accepted is taught as good, the others as defects of their type."""

    parts: list[PartName] = Field(min_length=1, max_length=MOST_TAUGHT)


def add_quality(router: APIRouter, front: Front, access: Access, quality: Quality) -> None:
    """Its routes."""
    looks, changes = Depends(require(access, "viewer")), Depends(require(access, "quality"))

    @router.get("/stations/{station}/preview", dependencies=[looks])
    async def get_preview(
        station: StationName, request: Request, accept: Annotated[float, Query()], reject: Annotated[float, Query()]
    ) -> dict[str, Any]:
        """What these thresholds promise, and what they would have changed in the last parts."""
        found, language = await quality.preview(front.station(station), accept, reject), language_of(request)
        return {
            "promise": [spell_sentence(each, language) for each in found.promise], "examined": found.examined,
            "changes": count_flips(found.flips), "flips": [each._asdict() for each in found.flips[:MOST_SHOWN]],
        }  # fmt: skip

    @router.get("/stations/{station}/proposals", dependencies=[looks])
    async def get_proposals(station: StationName) -> list[dict[str, Any]]:
        """The latest first; `progress` of one that is in work."""
        found = await quality.latest(front.station(station))
        return [each._asdict() | {"progress": quality.progress.get(each.n)} for each in found]

    @router.post("/stations/{station}/thresholds", status_code=202, dependencies=[changes])
    async def propose_thresholds(station: StationName, body: ThresholdsBody, request: Request) -> dict[str, int]:
        """Propose other thresholds."""
        who = request.state.person.name
        return {"proposal": await quality.propose_thresholds(front.station(station), body.accept, body.reject, who)}

    @router.post("/stations/{station}/lessons", status_code=202, dependencies=[changes])
    async def propose_lesson(station: StationName, body: LessonBody, request: Request) -> dict[str, int]:
        """Propose a recipe that was taught parts which people judged; it is made and tried meanwhile."""
        who = request.state.person.name
        return {"proposal": await quality.propose_lesson(front.station(station), body.parts, who)}

    @router.post("/stations/{station}/lessons/folder", status_code=201, dependencies=[changes])
    async def hand_over(station: StationName, body: LessonBody, request: Request) -> dict[str, str]:
        """Copy the pictures of parts that people judged into a folder on this machine, for teaching elsewhere."""
        return {"folder": str(await quality.hand_over(front.station(station), body.parts, request.state.person.name))}

    _add_settling(router, front, quality, changes)


def _add_settling(router: APIRouter, front: Front, quality: Quality, changes: Any) -> None:
    @router.post("/stations/{station}/proposals/{number}/live", dependencies=[changes])
    async def put_live(station: StationName, number: Number, request: Request) -> dict[str, Any]:
        """Use it from the next part on; 403 for whoever proposed it, where the line asks for a second person."""
        return _plain(await quality.put_live(front.station(station), number, request.state.person.name))

    @router.post("/stations/{station}/proposals/{number}/withdraw", dependencies=[changes])
    async def withdraw(station: StationName, number: Number, request: Request) -> dict[str, Any]:
        """Give it up."""
        return _plain(await quality.withdraw(front.station(station), number, request.state.person.name))

    @router.post("/stations/{station}/undo", dependencies=[changes])
    async def undo_change(station: StationName, request: Request) -> dict[str, Any]:
        """Put back the recipe that was used before the last change, exactly."""
        return _plain(await quality.undo(front.station(station), request.state.person.name))


def _plain(proposal: Proposal) -> dict[str, Any]:
    return {name: value for name, value in proposal._asdict().items() if name != "said"}
