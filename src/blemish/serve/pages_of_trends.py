"""The page of trends, and everything on it as CSV."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from math import log10
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse
from sqlalchemy import Connection

from blemish.calibration.thresholds import Calibration
from blemish.errors import BlemishError
from blemish.serve.access import Access, Person, require
from blemish.serve.api_review import StationName
from blemish.serve.charts import Curve, Mark, draw_chart
from blemish.serve.front import Front
from blemish.serve.pages import Pages
from blemish.serve.quality import Quality
from blemish.serve.queries import Wanted, each_part
from blemish.serve.stations import Station
from blemish.serve.tables import PART_COLUMNS, csv_lines, flat_rows
from blemish.serve.trends import (
    Mistakes,
    Trend,
    TrendRow,
    each_lot,
    known_values,
    mistakes_of,
    recent_rows,
    trend_of,
)
from blemish.serve.words import catalogue, language_of

FALSE_ALARM = 0.01
CSV = "text/csv; charset=utf-8"


def add_trends_page(pages: Pages, quality: Quality) -> None:
    """Its route."""
    front = pages.front

    async def values(request: Request, _: Person) -> Mapping[str, Any]:
        station, wanted = pages.station(request), _wanted(request)
        trend, mistakes, known = await _look(front, quality, station, wanted)
        words = catalogue()[language_of(request)]
        name = station.settings.name
        return {
            "station": name, "wanted": wanted, "known": known, "mistakes": mistakes, "query": request.url.query,
            "charts": _charts(trend, words, station.settings.budget_ms / 1000),
            "drift": front.alarms.get(f"{name} drift", ""),
        }  # fmt: skip

    pages.add("/stations/{station}/trends", "trends.html", "trends", values)


def add_exports(router: APIRouter, front: Front, access: Access, quality: Quality) -> None:
    """Routes of `/api/v1`."""
    looks = Depends(require(access, "viewer"))

    @router.get("/stations/{station}/parts.csv", dependencies=[looks])
    async def get_parts_table(station: StationName, request: Request) -> StreamingResponse:
        """All records, by `product`, `batch` and `recipe`."""
        front.station(station)
        chosen = _wanted(request)

        def rows() -> Any:
            with front.store.read() as connection:
                yield from csv_lines(PART_COLUMNS, flat_rows(each_part(connection, chosen)))

        return _table(rows(), f"{station}-parts")

    @router.get("/stations/{station}/trends.csv", dependencies=[looks])
    async def get_trends_table(station: StationName, request: Request) -> StreamingResponse:
        """The charts: a row a lot."""
        trend, _, __ = await _look(front, quality, front.station(station), _wanted(request))
        rows = list(each_lot(trend))
        return _table(csv_lines(tuple(rows[0]) if rows else ("time",), iter(rows)), f"{station}-trends")


def _table(lines: Any, name: str) -> StreamingResponse:
    return StreamingResponse(
        lines, media_type=CSV, headers={"Content-Disposition": f'attachment; filename="{name}.csv"'}
    )


def _wanted(request: Request) -> Wanted:
    product, batch, recipe = (request.query_params.get(name, "")[:200] for name in ("product", "batch", "recipe"))
    return Wanted(request.path_params["station"], product=product, batch=batch, recipe=recipe)


async def _look(
    front: Front, quality: Quality, station: Station, wanted: Wanted
) -> tuple[Trend, Mistakes, dict[str, list[str]]]:
    def look(connection: Connection) -> tuple[list[TrendRow], Mistakes, dict[str, list[str]]]:
        name = station.settings.name
        return recent_rows(connection, wanted), mistakes_of(connection, wanted), known_values(connection, name)

    rows, mistakes, known = await front.look_up(look)
    calibration: Calibration | None = None
    if wanted.recipe == station.hash or known["recipe"] == [station.hash]:
        try:
            calibration = await asyncio.to_thread(quality.calibration, station)
        except BlemishError:
            calibration = None  # the file is another recipe by now
    return await asyncio.to_thread(trend_of, rows, calibration), mistakes, known


def _charts(trend: Trend, words: Mapping[str, str], budget: float) -> list[dict[str, str]]:
    """Titles, pictures and what is to be known of each; empty pictures for too few parts."""
    found = []
    for verdict, title in (("reject", "share of rejects"), ("review", "share of reviews")):
        drawn = _share_chart(trend, verdict, words[title]) if len(trend.times) > 1 else ""
        found.append((words[title], drawn, words["about p-charts"].format(size=trend.size)))
    about = words["about the mean"] if trend.is_calibrated else words["about the mean itself"]
    found.append((words["mean of scores"], _score_chart(trend, words["mean of scores"]), about))
    if len(trend.evidence) > 1:
        limit = Curve([-log10(FALSE_ALARM)] * len(trend.evidence), "limit")
        title = words["evidence of drift"]
        drawn = draw_chart(trend.score_times, [Curve(trend.evidence), limit], title, floor=0)
        found.append((title, drawn, words["about drift"]))
    title = words["seconds to the answer"]
    drawn = ""
    if len(trend.times) > 1:
        curves = [Curve(trend.latency[0]), Curve(trend.latency[1], "second"), Curve(budget, "limit")]
        drawn = draw_chart(trend.times, curves, title, floor=0)
    found.append((title, drawn, words["about latency"]))
    return [{"title": title, "drawn": drawn, "about": about} for title, drawn, about in found]


def _share_chart(trend: Trend, verdict: str, title: str) -> str:
    chart, rules = trend.shares[verdict]
    limits = [Curve(chart.limit(each), "limit" if abs(each) == 3 else "near") for each in (-3, -2, 2, 3)]
    marks = [Mark(at, str(min(each)), ", ".join(map(str, each))) for at, each in enumerate(rules) if each]
    return draw_chart(
        trend.times, [Curve(chart.share), Curve(chart.centre, "near"), *limits], title, marks=marks, floor=0
    )


def _score_chart(trend: Trend, title: str) -> str:
    if len(trend.score_times) < 2:
        return ""
    scores = trend.scores
    limits = [Curve(scores.centre + sign * scores.reach, "limit") for sign in (1, -1)]
    return draw_chart(trend.score_times, [Curve(scores.mean), Curve(scores.centre, "near"), *limits], title)
