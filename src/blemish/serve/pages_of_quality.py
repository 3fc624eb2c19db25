"""Pages by which people change recipes: thresholds on the histogram, teaching, history."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fastapi import Request
from sqlalchemy import Connection

from blemish.calibration.thresholds import Calibration
from blemish.errors import BlemishError
from blemish.recipes.calibrate import ANY_TYPE
from blemish.recipes.file import header_of, history
from blemish.report.html import plain_json
from blemish.serve.access import Person
from blemish.serve.changes import ScoredRow
from blemish.serve.pages import Pages
from blemish.serve.proposals import Proposal
from blemish.serve.quality import Quality, promise_of
from blemish.serve.recipe_jobs import compare_recipes
from blemish.serve.review import list_judgements, shown_pictures
from blemish.serve.words import catalogue, language_of, spell_sentence
from blemish.types import GOOD

JUDGED, VERSIONS, FLIPS = 60, 50, 24
"""Judged parts, versions of a recipe and flips that are shown."""
ON_HISTOGRAM = ("good", "unknown", "defects", "these pictures", "accept", "review", "reject", "threshold", "escapes",
                "overkill")  # fmt: skip
HASH = re.compile("[0-9a-f]{64}")


def add_quality_pages(pages: Pages, quality: Quality) -> None:
    """Their routes."""
    front = pages.front

    async def proposal_values(request: Request, _: Person) -> Mapping[str, Any]:
        station, language = pages.station(request), language_of(request)
        found = [_proposal(each, quality, language) for each in await quality.latest(station)]
        live = next((each["n"] for each in found if each["standing"] == "live" and each["new"] == station.hash), 0)
        return {"station": station.settings.name, "proposals": found, "undoable": live}

    async def quality_values(request: Request, person: Person) -> Mapping[str, Any]:
        station = pages.station(request)
        common = await proposal_values(request, person)
        try:
            calibration = await asyncio.to_thread(quality.calibration, station)
        except BlemishError as error:
            return {**common, "about": None, "items": "", "examined": 0, "error": str(error)}
        rows, words = await quality.rows(station), catalogue()[language_of(request)]
        said = {key: words[key] for key in ON_HISTOGRAM}
        about = plain_json(_about(calibration, said, len(rows)))
        return {**common, "about": about, "items": _items(rows), "examined": len(rows), "error": ""}

    async def teach_values(request: Request, person: Person) -> Mapping[str, Any]:
        name = pages.station(request).settings.name

        def look(connection: Connection) -> list[dict[str, Any]]:
            judged = list_judgements(connection, name, JUDGED)
            shown = shown_pictures(connection, name, [each.part for each in judged])
            return [{**each._asdict(), "picture": shown.get(each.part)} for each in judged]

        common = await proposal_values(request, person)
        return {**common, "judged": await front.look_up(look), "can_learn": quality.can_learn}

    _add_history(pages, quality)
    pages.add("/stations/{station}/quality", "quality.html", "quality", quality_values)
    pages.add("/stations/{station}/proposals", "proposals.html", "quality", proposal_values)
    pages.add("/stations/{station}/teach", "teach.html", "teach", teach_values)


def _add_history(pages: Pages, quality: Quality) -> None:
    async def recipe_values(request: Request, _: Person) -> Mapping[str, Any]:
        station = pages.station(request)
        path = station.settings.recipes[station.recipe]
        versions = await asyncio.to_thread(_versions, path, await quality.latest(station))
        chosen = [request.query_params.get(key, "") for key in ("one", "other")]
        files = {each["hash"]: each["file"] for each in versions}
        rows = []
        if all(each in files for each in chosen):
            rows = await quality.quick.run(compare_recipes, *(files[each] for each in chosen))
        return {
            "station": station.settings.name, "recipe": station.recipe, "versions": versions, "current": station.hash,
            "one": chosen[0], "other": chosen[1], "rows": rows, "compared": all(each in files for each in chosen),
        }  # fmt: skip

    pages.add("/stations/{station}/recipes", "recipes.html", "recipes", recipe_values)


def _about(calibration: Calibration, said: Mapping[str, str], count: int) -> dict[str, Any]:
    """What the report's scripts ask of a run."""
    plain = calibration.as_json()
    start = {"accept": plain["accept"], "reject": plain["reject"], "origin": "calibration"}
    shown = {key: plain[key] for key in ("good", "defects", "sizes")}
    return {"start": start, "calibration": shown, "words": dict(said), "count": count}


def _items(rows: Sequence[ScoredRow]) -> str:
    """A line of JSON each, as the report has them."""
    return "\n".join(
        plain_json({"path": each.part, "score": each.score, "label": _label(each.said)}) for each in rows
    )  # fmt: skip


def _label(said: str) -> str:
    verdict, _, kind = said.partition(" ")
    return {"accept": GOOD, "reject": kind or ANY_TYPE}.get(verdict, "")


def _proposal(proposal: Proposal, quality: Quality, language: str) -> dict[str, Any]:
    said = proposal.said
    return {
        **proposal._asdict(), "promise": [spell_sentence(each, language) for each in promise_of(said)],
        "changes": said.get("changes", []), "flips": said.get("flips", [])[:FLIPS], "examined": said.get("examined"),
        "unseen": said.get("unseen", 0), "taught": said.get("taught", []), "error": said.get("error", ""),
        "accept": said.get("accept", ""), "reject": said.get("reject", ""),
        "progress": quality.progress.get(proposal.n),
    }  # fmt: skip


def _versions(path: Path, known: Sequence[Proposal]) -> list[dict[str, Any]]:
    """Of a recipe's file, the latest first, and who put it there; those that cannot be read are left out."""
    by_hash = {each.new: each for each in reversed(known) if each.new and each.standing in ("live", "undone")}
    files = [path, *sorted(history(path).glob("*.blemish"), key=lambda each: -each.stat().st_mtime)[:VERSIONS]]
    found: dict[str, dict[str, Any]] = {}
    for file in files:
        header = header_of(file)
        number, verdicts = str(header.get("hash", "")), header.get("calibration") or {}
        if HASH.fullmatch(number) and number not in found:
            found[number] = {
                "hash": number, "file": file, "created": str(header.get("created", "")),
                "parent": str(header.get("parent", "")), "taught": len(header.get("taught", ())),
                "accept": str(verdicts.get("accept", "")), "reject": str(verdicts.get("reject", "")),
                "proposal": by_hash.get(number),
            }  # fmt: skip
    return list(found.values())
