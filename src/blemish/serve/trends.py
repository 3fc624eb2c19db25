"""How a station's parts have been: shares, scores, drift and times of its last parts, lot by lot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from blemish.calibration.thresholds import Calibration
from blemish.metrics.binomial import Rate, rate
from blemish.metrics.control import Ewma, PChart, broken_rules, ewma, lots, mean_and_deviation, p_chart
from blemish.metrics.drift import Drift
from blemish.serve.queries import Wanted, choose_parts
from blemish.serve.schema import judgements, parts

LAST, MOST_LOTS, LEAST = 2000, 50, 20
"""Parts that are looked at, lots at most, and parts of a lot at least."""
MOST_JUDGED = 2000


class TrendRow(NamedTuple):
    """What is looked at of a part."""

    arrived: float
    verdict: str
    score: float | None
    answer: float  # seconds


class ShareChart(NamedTuple):
    """Of one verdict."""

    chart: PChart
    rules: list[tuple[int, ...]]  # that end at each lot


class Trend(NamedTuple):
    """Of the last parts; each lot at the time of its last part."""

    size: int  # of a lot
    times: NDArray[np.float64]  # (L,)
    shares: Mapping[str, ShareChart]  # reject and review
    score_times: NDArray[np.float64]  # (S,)
    scores: Ewma
    is_calibrated: bool  # the scores are compared with those of the calibration, not with themselves
    evidence: NDArray[np.float64]  # (S,) of drift, its base-10 logarithm; empty where nothing is known to compare with
    latency: NDArray[np.float64]  # (2, L) seconds: the middle, and what 1 in 20 exceeds


def recent_rows(connection: Connection, wanted: Wanted, count: int = LAST) -> list[TrendRow]:
    """The last parts, the oldest first."""
    columns = (parts.c.n, parts.c.arrived, parts.c.verdict, parts.c.score, parts.c.seconds)
    rows = connection.execute(choose_parts(wanted, *columns).order_by(parts.c.n.desc()).limit(count)).all()
    return [TrendRow(row.arrived, row.verdict, row.score, row.seconds.get("answer", 0.0)) for row in reversed(rows)]


def trend_of(rows: Sequence[TrendRow], calibration: Calibration | None) -> Trend:
    """calibration: that of the recipe, where all scores are by it."""
    groups = lots(len(rows), MOST_LOTS, LEAST)
    cut = [rows[each] for each in groups]
    times = np.asarray([lot[-1].arrived for lot in cut])
    answers = [np.asarray([row.answer for row in lot]) for lot in cut]
    quantiles = np.asarray([np.quantile(each, (0.5, 0.95)) for each in answers]).reshape(len(cut), 2).T
    scored = [(row.arrived, row.score) for row in rows if row.score is not None]
    values = [score for _, score in scored]
    known = calibration if calibration and calibration.scheme == "split" else None
    centre, sigma = mean_and_deviation(known.good if known else values)
    return Trend(
        len(cut[0]) if cut else 0,
        times,
        {verdict: _shares(cut, verdict) for verdict in ("reject", "review")},
        np.asarray([at for at, _ in scored]),
        ewma(values, centre=centre, sigma=sigma),
        known is not None,
        _evidence(known, values),
        quantiles,
    )


def _shares(cut: Sequence[Sequence[TrendRow]], verdict: str) -> ShareChart:
    chart = p_chart([sum(row.verdict == verdict for row in lot) for lot in cut], [len(lot) for lot in cut])
    return ShareChart(chart, broken_rules(chart.z))


def _evidence(known: Calibration | None, scores: Sequence[float]) -> NDArray[np.float64]:
    if known is None:
        return np.empty(0)
    drift, found = Drift(known.good), list[float]()
    for score in scores:
        drift.add(score)
        found.append(drift.evidence)
    return np.log10(np.maximum(found, 1e-12))


class Mistakes(NamedTuple):
    """Among parts that people judged."""

    escapes: Rate  # of those that people rejected: accepted by the line
    overkill: Rate  # of those that people accepted: rejected by the line


def mistakes_of(connection: Connection, wanted: Wanted) -> Mistakes:
    """Of the parts that were judged last; of several judgements the last one that was not taken back counts."""
    columns = (judgements.c.n.label("order"), judgements.c.part.label("judged"), judgements.c.verdict.label("said"))
    latest = select(*columns).where(~judgements.c.undone, judgements.c.station == wanted.station)
    said = latest.order_by(judgements.c.n.desc()).limit(MOST_JUDGED).subquery()
    chosen = choose_parts(wanted, parts.c.n, parts.c.verdict, said.c.said).join(said, parts.c.part == said.c.judged)
    rows = connection.execute(chosen.order_by(said.c.order.desc())).all()
    last: dict[int, tuple[str, str]] = {}
    for row in rows:
        last.setdefault(row.n, (row.verdict, row.said))
    by_line = {said: [verdict for verdict, each in last.values() if each == said] for said in ("accept", "reject")}
    return Mistakes(
        rate(by_line["reject"].count("accept"), len(by_line["reject"])),
        rate(by_line["accept"].count("reject"), len(by_line["accept"])),
    )


def known_values(connection: Connection, station: str, count: int = LAST) -> dict[str, list[str]]:
    """Products, batches and recipes of the last parts, for choosing."""
    columns = (parts.c.product, parts.c.batch, parts.c.recipe)
    rows = connection.execute(
        select(*columns).where(parts.c.station == station).order_by(parts.c.n.desc()).limit(count)
    ).all()
    return {
        name: list(dict.fromkeys(getattr(row, name) for row in rows if getattr(row, name)))[:100]
        for name in ("product", "batch", "recipe")
    }


def each_lot(trend: Trend) -> Iterator[dict[str, Any]]:
    """The charts as rows: a lot each."""
    for at, time in enumerate(trend.times):
        row: dict[str, Any] = {"time": float(time), "size": trend.size}
        for verdict, (chart, rules) in trend.shares.items():
            row |= {
                f"{verdict}_share": float(chart.share[at]), f"{verdict}_mean": chart.centre,
                f"{verdict}_sigma": float(chart.sigma[at]), f"{verdict}_rules": " ".join(map(str, rules[at])),
            }  # fmt: skip
        until = int(np.searchsorted(trend.score_times, time, side="right")) - 1
        row["score_mean"] = float(trend.scores.mean[until]) if until >= 0 else None
        row["drift_evidence"] = float(trend.evidence[until]) if until >= 0 and len(trend.evidence) else None
        yield row | {"seconds_middle": float(trend.latency[0, at]), "seconds_95": float(trend.latency[1, at])}
