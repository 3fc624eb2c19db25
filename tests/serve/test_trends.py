from __future__ import annotations

import csv
import io
import xml.etree.ElementTree as xml
from pathlib import Path

import numpy as np
import pytest
from tests.serve.test_pages import until_inspecting
from tests.support.serving import line_settings, record, running, store_settings

from blemish.calibration.thresholds import calibrate_thresholds
from blemish.serve.charts import Curve, Mark, draw_chart
from blemish.serve.queries import Wanted
from blemish.serve.review import judge_part, take_back
from blemish.serve.store import Store
from blemish.serve.trends import TrendRow, each_lot, known_values, mistakes_of, recent_rows, trend_of


def rows(count: int, **other: object) -> list[TrendRow]:
    rng = np.random.default_rng(0)
    usual = {"verdict": "accept", "score": 0.5, "answer": 0.01, **other}
    return [
        TrendRow(float(at), str(usual["verdict"]), float(rng.normal(0.5, 0.1)), float(rng.uniform(0.01, 0.02)))
        for at in range(count)
    ]


def test_a_trend_says_of_each_lot_what_its_parts_were() -> None:
    parts = rows(200)
    parts[150:160] = [each._replace(verdict="reject") for each in parts[150:160]]
    found = trend_of(parts, None)
    assert (found.size, len(found.times)) == (20, 10)
    assert found.shares["reject"].chart.share.tolist() == [0, 0, 0, 0, 0, 0, 0, 0.5, 0, 0]
    assert [1 in rules for rules in found.shares["reject"].rules] == [at == 7 for at in range(10)]
    assert found.latency[0, 3] == pytest.approx(np.median([each.answer for each in parts[60:80]]))
    assert not found.is_calibrated
    assert not len(found.evidence)
    listed = list(each_lot(found))
    assert listed[7]["reject_rules"].startswith("1")
    assert listed[-1]["score_mean"] == pytest.approx(found.scores.mean[-1])


def test_scores_that_move_are_seen_against_the_calibration() -> None:
    good = np.random.default_rng(1).normal(0.5, 0.1, 60).tolist()
    known = calibrate_thresholds(good, scheme="split")
    calm, moved = trend_of(rows(300), known), trend_of([each._replace(score=0.75) for each in rows(300)], known)
    assert calm.is_calibrated
    assert calm.evidence.max() < 2 < moved.evidence.max()
    assert moved.scores.is_outside[-1]
    assert not len(trend_of([], known).times)


def test_mistakes_are_those_of_parts_that_people_judged(tmp_path: Path) -> None:
    with Store(store_settings(tmp_path)) as store:
        verdicts = ["accept", "accept", "reject", "review", "reject", "accept"]
        for at, verdict in enumerate(verdicts):
            store.add(record(str(at), verdict=verdict, batch="b" if at else "a", product="gear", recipe="r"))

        def judge(connection: object) -> None:
            for part, said in (("0", "reject"), ("1", "accept"), ("2", "accept"), ("3", "reject"), ("4", "reject")):
                judge_part(connection, "gears", part, who="eve", verdict=said)  # type: ignore[arg-type]
            judge_part(connection, "gears", "1", who="eve", verdict="reject")  # type: ignore[arg-type]
            take_back(connection, "eve")  # type: ignore[arg-type]

        store.change(judge).result(10)
        with store.read() as connection:
            found = mistakes_of(connection, Wanted("gears"))
            assert (found.escapes[:2], found.overkill[:2]) == ((1, 3), (1, 2))
            assert mistakes_of(connection, Wanted("gears", batch="b")).escapes[:2] == (0, 2)
            assert [each.verdict for each in recent_rows(connection, Wanted("gears"), 4)] == verdicts[-4:]
            assert known_values(connection, "gears") == {"product": ["gear"], "batch": ["b", "a"], "recipe": ["r"]}


def test_a_chart_is_svg_with_a_point_for_every_mark() -> None:
    curves = [Curve([1.0, 3.0, 2.0]), Curve(4.0, "limit")]
    drawn = draw_chart([10, 20, 30], curves, 'a "chart" <b>', marks=[Mark(1, "1 <x>")], floor=0)
    root = xml.fromstring(drawn)
    assert root.get("aria-label") == 'a "chart" <b>'
    [mark] = root.iter("circle")
    line, limit, *_ = root.iter("path")
    points = [tuple(map(float, each.split())) for each in str(line.get("d"))[1:].split("L")]
    assert (float(str(mark.get("cx"))), float(str(mark.get("cy")))) == points[1]
    assert points[1][1] < points[2][1] < points[0][1]  # up is more
    assert limit.get("class") == "limit"
    assert "style" not in drawn


def test_the_page_of_trends_is_filtered_and_exported(tmp_path: Path) -> None:
    settings = line_settings(tmp_path)
    with Store(settings.store) as store:
        for at in range(60):
            batch, verdict = "odd" if at % 2 else "even", "reject" if at % 6 == 1 else "accept"
            store.add(record(str(at), verdict=verdict, batch=batch, score=at / 60, seconds={"answer": 0.01}))
    with running(settings) as client:
        until_inspecting(client)
        page = client.page("/stations/gears/trends?batch=odd", Accept_Language="de").body.decode()
        assert "Anteil Ausschuss (p-Karte)" in page
        assert '<option value="odd" selected>' in page
        assert ">too few" not in client.page("/stations/gears/trends").body.decode()
        parts = client.ask("GET", "/stations/gears/parts.csv?batch=odd").body.decode()
        assert [row["part"] for row in csv.DictReader(io.StringIO(parts))] == [str(at) for at in range(1, 60, 2)]
        lots = list(csv.DictReader(io.StringIO(client.ask("GET", "/stations/gears/trends.csv").body.decode())))
        assert [float(row["reject_share"]) for row in lots] == [0.2, 0.15, 0.15]
        assert client.page("/stations/bolts/trends").status == 404
