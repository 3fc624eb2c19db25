"""The pages of a line, rendered here; what changes on them afterwards comes by the API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from blemish.errors import UnknownName
from blemish.serve.access import Access, Person
from blemish.serve.front import Front
from blemish.serve.queries import Wanted, count_verdicts, list_parts
from blemish.serve.states import spell_state
from blemish.serve.stations import Station

LANGUAGES = {"en": "English", "de": "Deutsch", "zh": "中文"}
LANGUAGE_COOKIE = "language"
STATIC = {
    "page.css": "text/css",
    **dict.fromkeys(("shared.js", "login.js", "station.js", "review.js"), "text/javascript"),
}
SHOWN, COUNTED = 24, 1000


@cache
def catalogue() -> Mapping[str, Mapping[str, str]]:
    """Words of the page, by language."""
    found: Mapping[str, Mapping[str, str]] = json.loads(_resource("words.json"))
    return found


def pages_of(front: Front, access: Access) -> APIRouter:
    """All pages, and the files that they load."""
    router = APIRouter(include_in_schema=False)

    @router.get("/static/{name}")
    async def get_static(name: str) -> Response:
        if name not in STATIC:
            raise UnknownName(f"there is no file {name}")
        return Response(_resource(name), media_type=STATIC[name])

    @router.get("/login")
    async def show_login(request: Request) -> Response:
        return _page(request, front, "login.html", "log in", None, {})

    @router.get("/")
    async def show_first(request: Request) -> Response:
        return RedirectResponse(f"/stations/{next(iter(front.stations))}", 303)

    @router.get("/stations/{station}")
    async def show_station(station: str, request: Request) -> Response:
        person = await _person(access, request)
        if person is None:
            return RedirectResponse("/login", 303)
        return _page(request, front, "station.html", "station", person, await _station(front, front.station(station)))

    @router.get("/review")
    async def show_review(request: Request) -> Response:
        person = await _person(access, request)
        return _page(request, front, "review.html", "review", person, {}) if person else RedirectResponse("/login", 303)

    return router


async def _person(access: Access, request: Request) -> Person | None:
    """Nobody where one has to log in first; raises 403 for a machine."""
    try:
        person = await access.person(request)
    except HTTPException as error:
        if error.status_code == 401:
            return None
        raise
    if not person.may("viewer"):
        raise HTTPException(403, f"{person.name} is a machine: pages are for people")
    return person


async def _station(front: Front, station: Station) -> dict[str, Any]:
    name = station.settings.name
    found = await front.look_up(lambda connection: list_parts(connection, Wanted(name), SHOWN))
    return {
        "station": name, "state": spell_state(station.state), "recipe": station.recipe, "parts": found,
        "latest": found[0] if found else None,
        "counts": await front.look_up(lambda connection: count_verdicts(connection, name, COUNTED)),
    }  # fmt: skip


def _page(
    request: Request, front: Front, template: str, title: str, person: Person | None, values: Mapping[str, Any]
) -> Response:
    language = language_of(request)
    words = catalogue()[language]
    types = {name: list(each.settings.types) for name, each in front.stations.items()} if person else {}
    shared = {
        "language": language, "languages": LANGUAGES, "t": words.__getitem__, "words": {**words, "types": types},
        "line": front.settings.name, "title": title, "person": person, "stations": list(front.stations),
        "station": "", "script": template.replace(".html", ".js"),
    }  # fmt: skip
    reply = HTMLResponse(_templates().get_template(template).render({**shared, **values}))
    if request.query_params.get("language") == language:
        reply.set_cookie(LANGUAGE_COOKIE, language, max_age=10**8, samesite="strict")
    return reply


def language_of(request: Request) -> str:
    """What was chosen, or else what the browser asks for."""
    asked = request.headers.get("accept-language", "")
    wishes = [request.query_params.get("language", ""), request.cookies.get(LANGUAGE_COOKIE, "")]
    wishes += [each.partition(";")[0].strip()[:2].lower() for each in asked[:200].split(",")]
    return next((each for each in wishes if each in LANGUAGES), "en")


@cache
def _templates() -> Environment:
    return Environment(loader=PackageLoader("blemish.serve", "page"), autoescape=True, undefined=StrictUndefined)


def _resource(name: str) -> str:
    return (files("blemish.serve") / "page" / name).read_text(encoding="utf-8")
