from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from tests.structure.source import ROOT
from tests.support.browser import Browser, missing
from tests.support.serving import LINE, Client, line_settings, running

from blemish.calibration.guarantees import SENTENCES
from blemish.serve.pages import static_files
from blemish.serve.pages_of_quality import ON_HISTOGRAM
from blemish.serve.proposals import Kind, Standing
from blemish.serve.words import LANGUAGES, catalogue

PAGE = ROOT / "serve" / "page"
KEY = re.compile(r"""(?:\bt|say)\(\s*["']([^"']+)["']\s*\)""")
WORDS = re.compile(r'words\["([^"]+)"')
BRACES = re.compile(r"{[^}]*}")
MADE = ("page.css", "report.js")
HOSTILE = "<img src=x onerror=alert(1)>\"'&amp;"


def test_every_language_has_every_word_and_no_other() -> None:
    words = catalogue()
    assert set(words) == set(LANGUAGES)
    used = {key for file in PAGE.glob("*.*") if file.suffix in (".html", ".js") for key in KEY.findall(_text(file))}
    used |= {
        "accept",
        "review",
        "reject",
        "station",
        "now",
        "teach",
        "recipes",
        "trends",
        "quality",
        "product",
        "batch",
        *ON_HISTOGRAM,
    }
    used |= {key for file in ROOT.joinpath("serve").glob("*.py") for key in WORDS.findall(_text(file))}
    used |= {"share of rejects", "share of reviews", "defects that were accepted", "good parts that were rejected"}
    used |= {*get_args(Kind), *get_args(Standing)} | {f"promise: {key}" for key in SENTENCES}
    for language, known in words.items():
        assert set(known) == used, language
        assert all(known.values()), language
        for key, sentence in SENTENCES.items():
            said = known[f"promise: {key}"]
            assert set(BRACES.findall(said)) == set(BRACES.findall(sentence)), (language, key)
            assert language != "en" or said == sentence


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def test_pages_hold_no_code_and_fetch_nothing_from_outside() -> None:
    for file in PAGE.glob("*.html"):
        text = _text(file)
        assert not re.search(r"\son\w+=|style=|javascript:", text), file.name
        assert not re.search(r"<script(?![^>]*(src=|application/json))", text), file.name
        assert not re.search(r"https?://|//[a-z]", text.replace("<!doctype", "")), file.name
    for file in PAGE.glob("*.js"):
        assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|eval\(|https?://", _text(file)), file.name
    assert {file.name for file in PAGE.glob("*.js")} == {name for name in static_files() if name not in MADE}
    assert sum(len(text.encode()) for text, _ in static_files().values()) <= 60_000


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    text = LINE + 'types = ["crack", "rust"]\n'
    with running(line_settings(tmp_path_factory.mktemp("pages"), text)) as client:
        client.wait_ready()
        until_inspecting(client)
        yield client


def until_inspecting(client: Client) -> None:
    while "Continuous" not in client.ask("GET", "/health").body["stations"][0]["state"]:
        pass


def test_a_station_is_shown_with_its_latest_parts(line: Client) -> None:
    from urllib.parse import quote

    line.ask("POST", f"/stations/gears/parts/{quote(HOSTILE, safe='')}/views/front", b"reject")
    while not line.ask("GET", "/stations/gears/parts").body:
        pass
    reply = line.page("/stations/gears")
    text = reply.body.decode()
    assert "<img src=x" not in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    assert '<b id="count-reject">1</b>' in text
    assert "Operational.ContinuousExecution" in text
    assert line.page("/").status == 303
    assert line.page("/stations/bolts").status == 404
    assert line.page("/static/words.json").status == 404


@pytest.mark.parametrize(
    ("path", "headers", "said"),
    [
        ("/review", {"Accept_Language": "de-CH,de;q=0.9"}, "Ausschuss"),
        ("/review", {"Accept_Language": "fr,zh;q=0.9"}, "不合格"),
        ("/review", {"Cookie": "language=de"}, "Ausschuss"),
        ("/review?language=zh", {"Cookie": "language=de"}, "不合格"),
        ("/review?language=xx", {}, "reject"),
    ],
)
def test_a_page_speaks_the_language_that_is_asked_for(
    line: Client, path: str, headers: dict[str, str], said: str
) -> None:
    assert said in line.page(path, **headers).body.decode()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if absent := missing():
        pytest.fail(f"{' and '.join(absent)} not found: apt-get install chromium chromium-driver")
    with Browser() as opened:
        yield opened


SHOWN = "document.getElementById('{}').textContent"


@pytest.mark.browser
def test_parts_are_judged_by_keyboard_alone(line: Client, browser: Browser) -> None:
    for number in range(4):
        line.send(f"r{number}", "review")
    while line.ask("GET", "/review").body["waiting"] < 4:
        pass
    browser.open(f"http://127.0.0.1:{line.port}/review")
    browser.until(SHOWN.format("part") + " === 'r0'")
    browser.until("document.getElementById('shown').naturalWidth === 4")
    browser.press("a")
    browser.until(SHOWN.format("part") + " === 'r1'")
    browser.press("2")
    browser.until(SHOWN.format("part") + " === 'r2'")
    browser.press("r")
    browser.until(SHOWN.format("part") + " === 'r3'")
    browser.press("u")
    browser.until(SHOWN.format("part") + " === 'r2'")
    browser.press("?")
    browser.until("document.getElementById('help').open")
    browser.press("a", "?")  # behind the help nothing is judged
    browser.until("!document.getElementById('help').open")
    assert browser.run(f"return {SHOWN.format('waiting')}") == "2"
    browser.press("h")
    browser.until("document.getElementById('heat').hidden")
    said = {part: line.ask("GET", f"/stations/gears/parts/{part}/pictures").body["judgement"] for part in ("r0", "r1")}
    assert [(each["verdict"], each["type"], each["who"]) for each in said.values()] == [
        ("accept", "", "local"), ("reject", "rust", "local"),
    ]  # fmt: skip
    browser.press("a")
    browser.until(SHOWN.format("part") + " === 'r3'")
    browser.press("a")
    browser.until(SHOWN.format("verdict") + " === 'nothing waits'")
    line.send("r9", "review")
    browser.until(SHOWN.format("part") + " === 'r9'")
    assert browser.log() == []


@pytest.mark.browser
def test_a_station_shows_parts_as_they_come(line: Client, browser: Browser) -> None:
    browser.open(f"http://127.0.0.1:{line.port}/stations/gears")
    browser.until("document.querySelector('[data-command=stop]')")
    line.send("seen-1", "reject")
    browser.until(SHOWN.format("part") + " === 'seen-1'")
    assert browser.run(f"return {SHOWN.format('verdict')}") == "reject"
    browser.until("document.getElementById('shown').naturalWidth === 4")
    browser.click("[data-command=stop]")
    browser.until(SHOWN.format("state") + " === 'Operational.Ready'")
    browser.click("[data-command=start_continuous]")
    browser.until(SHOWN.format("state") + " === 'Operational.ContinuousExecution'")
    assert browser.log() == []
