"""The pages of a line, rendered here; what changes on them afterwards comes by the API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from blemish.errors import UnknownName
from blemish.report.html import join_scripts
from blemish.serve.access import Access, Person
from blemish.serve.front import Front
from blemish.serve.queries import COUNTED, Wanted, count_verdicts, list_parts
from blemish.serve.states import spell_state
from blemish.serve.stations import Station
from blemish.serve.words import LANGUAGE_COOKIE, LANGUAGES, catalogue, language_of, resource

REPORT = ("numbers", "data", "thresholds", "histogram")
"""Scripts of the report that the page of thresholds is made of."""
SCRIPTS = ("shared", "login", "station", "review", "proposals", "quality", "teach", "recipes", "trends", "admin")
SHOWN = 24
Values = Callable[[Request, Person], Awaitable[Mapping[str, Any]]]


@cache
def static_files() -> Mapping[str, tuple[str, str]]:
    """By name: text and type; all scripts and styles that pages load."""
    found = {f"{name}.js": (resource(f"{name}.js"), "text/javascript") for name in SCRIPTS}
    found["report.js"] = (join_scripts(REPORT), "text/javascript")
    return found | {"page.css": (resource("page.css"), "text/css")}


class Pages:
    """Renders them; `router` has their routes."""

    def __init__(self, front: Front, access: Access) -> None:
        self.front, self.access = front, access
        self.router = APIRouter(include_in_schema=False)

    def add(self, path: str, template: str, title: str, values: Values, *, role: str = "viewer") -> None:
        """A page for people of that role; `values` makes what its template needs."""

        async def show(request: Request) -> Response:
            person = await self._person(request)
            if person is None:
                return RedirectResponse("/login", 303)
            if not person.may(role):
                raise HTTPException(403, f"{person.name} may not look at this: it takes {role}")
            return self.render(request, template, title, person, await values(request, person))

        self.router.add_api_route(path, show, methods=["GET"])

    def render(
        self, request: Request, template: str, title: str, person: Person | None, values: Mapping[str, Any]
    ) -> Response:
        """A template in the language of who asks."""
        language, front = language_of(request), self.front
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

    def station(self, request: Request) -> Station:
        """The one in the path; raises UnknownName."""
        return self.front.station(request.path_params["station"])

    async def _person(self, request: Request) -> Person | None:
        """Nobody where one has to log in first; raises 403 for a machine."""
        try:
            person = await self.access.person(request)
        except HTTPException as error:
            if error.status_code == 401:
                return None
            raise
        if not person.may("viewer"):
            raise HTTPException(403, f"{person.name} is a machine: pages are for people")
        return person


def add_pages(pages: Pages) -> None:
    """Those of operators, and the files that all load."""
    front, router = pages.front, pages.router

    @router.get("/static/{name}")
    async def get_static(name: str) -> Response:
        if name not in static_files():
            raise UnknownName(f"there is no file {name}")
        text, kind = static_files()[name]
        return Response(text, media_type=kind)

    @router.get("/login")
    async def show_login(request: Request) -> Response:
        return pages.render(request, "login.html", "log in", None, {})

    @router.get("/")
    async def show_first(request: Request) -> Response:
        return RedirectResponse(f"/stations/{next(iter(front.stations))}", 303)

    async def station_values(request: Request, _: Person) -> Mapping[str, Any]:
        return await _station(front, pages.station(request))

    async def no_values(_: Request, __: Person) -> Mapping[str, Any]:
        return {}

    pages.add("/stations/{station}", "station.html", "station", station_values)
    pages.add("/review", "review.html", "review", no_values)


async def _station(front: Front, station: Station) -> dict[str, Any]:
    name = station.settings.name
    found = await front.look_up(lambda connection: list_parts(connection, Wanted(name), SHOWN))
    return {
        "station": name, "state": spell_state(station.state), "recipe": station.recipe, "parts": found,
        "latest": found[0] if found else None,
        "counts": await front.look_up(lambda connection: count_verdicts(connection, name, COUNTED)),
    }  # fmt: skip


@cache
def _templates() -> Environment:
    found = Environment(loader=PackageLoader("blemish.serve", "page"), autoescape=True, undefined=StrictUndefined)
    found.filters["number"] = short_number
    return found


def short_number(value: float | None) -> str:
    """Four digits that count; "" of nothing."""
    return "" if value is None else f"{value:.4g}"
