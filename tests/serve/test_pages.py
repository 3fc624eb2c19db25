from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from tests.serve.test_process import listening
from tests.structure.source import ROOT
from tests.support.browser import Browser, missing
from tests.support.peers import free_port
from tests.support.serving import LINE, Client, line_settings, process, running

from blemish.calibration.guarantees import SENTENCES
from blemish.serve.pages import static_files
from blemish.serve.pages_of_quality import ON_HISTOGRAM
from blemish.serve.proposals import Kind, Standing
from blemish.serve.store import Store
from blemish.serve.users import put_user
from blemish.serve.words import LANGUAGES, catalogue

PAGE = ROOT / "serve" / "page"
KEY = re.compile(r"""(?:\bt|say)\(\s*["']([^"']+)["']\s*\)""")
WORDS = re.compile(r'words\["([^"]+)"')
BRACES = re.compile(r"{[^}]*}")
MADE = ("page.css", "report.js")
PASSWORD = "four words are good"
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
    browser.until(SHOWN.format("waiting") + " === '2'")
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


HOLD = """
const send = window.fetch;
window.held = [];
window.fetch = async (path, ...rest) => {
    const reply = await send(path, ...rest);
    if (String(path).endsWith("/review")) await new Promise((release) => window.held.push(release));
    return reply;
};
"""


@pytest.mark.browser
def test_a_late_reply_does_not_take_the_place_of_a_newer_count(line: Client, browser: Browser) -> None:
    browser.open(f"http://127.0.0.1:{line.port}/stations/gears")
    before = line.ask("GET", "/review").body["waiting"]
    if before:
        browser.until(SHOWN.format("waiting") + f" === '{before}'")
    browser.run(HOLD)
    line.send("first", "review")
    browser.until("window.held.length === 1")
    line.send("second", "review")
    browser.until("window.held.length === 2")
    browser.run("window.held[1]()")
    browser.until(SHOWN.format("waiting") + f" === '{before + 2}'")
    browser.run("window.held[0](); setTimeout(() => { window.isOver = true; }, 100)")
    browser.until("window.isOver")
    assert browser.run(f"return {SHOWN.format('waiting')}") == str(before + 2)
    for name in ("first", "second"):
        line.ask("POST", f"/stations/gears/parts/{name}/judgement", {"verdict": "accept"})


@pytest.mark.browser
def test_an_open_page_finds_a_line_again_that_was_killed(tmp_path: Path, browser: Browser) -> None:
    line_settings(tmp_path, LINE.replace("port = 0", f"port = {free_port()}"))
    with process("serve", tmp_path / "line.toml") as serving:
        client = listening(serving)
        client.send("before", "reject")
        client.wait_for("/stations/gears/parts", bool)
        browser.open(f"http://127.0.0.1:{client.port}/stations/gears")
        browser.until(SHOWN.format("part") + " === 'before'")
        browser.run("window.same = true")
        serving.kill()
        browser.until(SHOWN.format("alarms") + ".includes('connection is lost')")
    with process("serve", tmp_path / "line.toml") as serving:
        client = listening(serving)
        client.send("missed", "review")
        browser.until(SHOWN.format("part") + " === 'missed'")
        browser.until("document.getElementById('shown').naturalWidth === 4")
        browser.until(SHOWN.format("alarms") + " === ''")
        browser.until(SHOWN.format("state") + " === 'Operational.ContinuousExecution'")
        browser.until(SHOWN.format("waiting") + " === '1'")
        assert browser.run(f"return {SHOWN.format('verdict')}") == "review"
        assert browser.run("return [...document.querySelectorAll('#parts a')].map((each) => each.textContent)") == [
            "missed", "before",
        ]  # fmt: skip
        client.send("after", "accept")
        browser.until(SHOWN.format("part") + " === 'after'")
        assert browser.run("return window.same"), "it was not loaded anew"
    assert all("ERR_" in each or "connection is lost" in each for each in browser.log())


@pytest.mark.browser
@pytest.mark.slow
def test_whoever_was_logged_in_is_asked_to_log_in_again_when_the_line_was_started_again(
    tmp_path: Path, browser: Browser
) -> None:
    settings = line_settings(tmp_path, LINE.replace("port = 0", f"port = {free_port()}"))
    with Store(settings.store) as store:
        store.change(lambda connection: put_user(connection, "ada", "operator", PASSWORD)).result(30)
    with process("serve", tmp_path / "line.toml") as serving:
        address = f"http://127.0.0.1:{Client(_port(serving)).port}"
        _log_in(browser, address)
        serving.kill()
        browser.until(SHOWN.format("alarms") + ".includes('connection is lost')")
    with process("serve", tmp_path / "line.toml") as serving:
        _port(serving)
        browser.until("location.pathname === '/login'")
        _log_in(browser, address)
    browser.log()


def _port(serving: subprocess.Popen[str]) -> int:
    assert serving.stdout
    return int(serving.stdout.readline())


def _log_in(browser: Browser, address: str) -> None:
    browser.open(f"{address}/login")
    browser.press(*"ada", "Tab", *PASSWORD, "Enter")
    browser.until("location.pathname === '/stations/gears'")
