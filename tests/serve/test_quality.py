from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.browser import Browser, missing
from tests.support.obedient import make_filed
from tests.support.parts import frozen, good, part, spots
from tests.support.serving import LINE, Client, line_settings, running, store_settings

from blemish.calibration.thresholds import calibrate_thresholds, with_thresholds
from blemish.recipes import recipe as recipes
from blemish.recipes.calibrate import with_calibration
from blemish.recipes.file import hash_of
from blemish.serve.audit import verify_audit
from blemish.serve.changes import Flip, ScoredRow, flips_of
from blemish.serve.judge import judge_by_recipe
from blemish.serve.store import edit_store, look_at_store
from blemish.serve.users import put_user

PASSWORD = "correct horse"
QUALITY = "[stations.quality]\nsecond_person = true\n"


def recipe_file(folder: Path, *, accept: float = 0.4, reject: float = 0.6) -> Path:
    """Of a recipe that knows four good parts, with thresholds by scores as the obedient judge gives them."""
    known = calibrate_thresholds([0.01 * at for at in range(30)], scheme="split", defects={"spot": [0.7, 0.8, 0.9]})
    plain = frozen("patchcore", good(folder / "learned", 4))
    path = folder / "gear.blemish"
    path.unlink(missing_ok=True)
    recipes.save(with_calibration(plain, with_thresholds(known, accept=accept, reject=reject)), path)
    return path


def add_people(folder: Path) -> None:
    with edit_store(store_settings(folder / "line-data")) as connection:
        for name, role in (("eve", "quality"), ("bob", "quality"), ("otto", "operator")):
            put_user(connection, name, role, PASSWORD)


def audit_of(folder: Path) -> list[tuple[str, str, str]]:
    from sqlalchemy import select

    from blemish.serve.schema import audit

    with look_at_store(store_settings(folder / "line-data")) as connection:
        verify_audit(connection)
        return [(row.who, row.what, row.subject) for row in connection.execute(select(audit).order_by(audit.c.n))]


def test_flips_are_what_the_thresholds_say_of_each_score() -> None:
    known = with_thresholds(calibrate_thresholds([0.1, 0.2], scheme="split"), accept=0.3, reject=0.5)
    rows = [
        ScoredRow("a", 0.2, "accept", False), ScoredRow("b", 0.35, "accept", False, "accept"),
        ScoredRow("c", 0.5, "review", False), ScoredRow("d", 0.9, "review", True),
    ]  # fmt: skip
    assert flips_of(rows, known) == [
        Flip("b", "accept", "review", 0.35, "accept"), Flip("c", "review", "reject", 0.5, ""),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, Path]]:
    folder = tmp_path_factory.mktemp("quality")
    settings = line_settings(folder, LINE + QUALITY)
    recipe_file(folder)
    add_people(folder)
    with running(settings, make_filed) as client:
        client.wait_ready()
        yield client, folder


def proposal(person: Client, number: int, standing: str) -> dict[str, Any]:
    def found(body: list[dict[str, Any]]) -> bool:
        return any(each["n"] == number and each["standing"] == standing for each in body)

    body = person.wait_for("/stations/gears/proposals", found)
    return next(dict(each) for each in body if each["n"] == number)


def test_thresholds_are_proposed_put_live_by_another_person_and_undone(line: tuple[Client, Path]) -> None:
    client, folder = line
    eve, bob, otto = (client.login(name, PASSWORD) for name in ("eve", "bob", "otto"))
    eve.wait_for("/health", lambda body: "Continuous" in body["stations"][0]["state"])
    for at, says in enumerate(("accept", "review", "review", "reject")):
        assert otto.send(f"p{at}", says).body["verdict"] == says
    before = hash_of(folder / "gear.blemish")
    eve.wait_for("/stations/gears/parts", lambda body: len(body) == 4)
    seen = otto.ask("GET", "/stations/gears/preview?accept=0.3&reject=0.45").body
    assert seen["changes"] == [["review", "reject", 2]]
    assert seen["examined"] == 4
    assert "of defective parts are accepted, with 95 % confidence" in seen["promise"][1]
    german = eve.ask("GET", "/stations/gears/preview?accept=-inf&reject=Infinity", Accept_Language="de").body
    assert "gezeigten" in german["promise"][2]
    wrong = eve.ask("GET", "/stations/gears/preview?accept=0.5&reject=0.4")
    assert (wrong.status, "must not be above" in wrong.body["detail"]) == (422, True)
    asked = {"accept": "0.3", "reject": 0.45}
    assert otto.ask("POST", "/stations/gears/thresholds", asked).status == 403
    number = eve.ask("POST", "/stations/gears/thresholds", asked).body["proposal"]
    found = proposal(eve, number, "proposed")
    assert [each[0] for each in found["said"]["flips"]] == ["p2", "p1"]
    refused = eve.ask("POST", f"/stations/gears/proposals/{number}/live", {})
    assert (refused.status, "a second person must put it live" in refused.body["detail"]) == (403, True)
    assert bob.ask("POST", f"/stations/gears/proposals/{number}/live", {}).body["standing"] == "live"
    [station] = eve.ask("GET", "/health").body["stations"]
    assert station["hash"] == hash_of(folder / "gear.blemish") == found["new"] != before
    calibration = recipes.load(folder / "gear.blemish").calibration
    assert calibration
    assert (calibration.accept, calibration.reject) == (0.3, 0.45)
    assert eve.ask("GET", "/stations/gears/preview?accept=0.3&reject=0.45").body["examined"] == 4  # the same scores
    page = eve.page(f"/stations/gears/recipes?one={before}&other={found['new']}").body.decode()
    assert "calibration reject" in page
    assert "eve → bob" in page
    assert eve.ask("POST", "/stations/gears/undo", {}).body["standing"] == "undone"
    assert hash_of(folder / "gear.blemish") == before == eve.ask("GET", "/health").body["stations"][0]["hash"]
    again = eve.ask("POST", "/stations/gears/undo", {})
    assert (again.status, "nothing to undo" in again.body["detail"]) == (409, True)
    assert bob.ask("POST", f"/stations/gears/proposals/{number}/live", {}).status == 409
    said = [(who, what) for who, what, _ in audit_of(folder) if what.startswith("thresholds")]
    assert said == [("eve", "thresholds proposed"), ("bob", "thresholds live"), ("eve", "thresholds undone")]


def test_judged_parts_are_handed_over_as_a_folder(line: tuple[Client, Path], tmp_path: Path) -> None:
    client, folder = line
    eve = client.login("eve", PASSWORD)
    picture = part(tmp_path / "a.png", 1).read_bytes()
    path = "/stations/gears/parts/{}/views/front"
    for name in ("good one", "bad one"):
        eve.ask("POST", path.format(name.replace(" ", "%20")), picture)
    eve.wait_for("/stations/gears/parts/bad%20one/pictures", lambda body: body["pictures"])
    names = {"parts": ["good one", "bad one"]}
    refused = eve.ask("POST", "/stations/gears/lessons/folder", names)
    assert (refused.status, refused.body["detail"]) == (422, "part good one was not judged by a person: judge it first")
    eve.ask("POST", "/stations/gears/parts/good%20one/judgement", {"verdict": "accept"})
    eve.ask("POST", "/stations/gears/parts/bad%20one/judgement", {"verdict": "reject", "type": "../oil spot"})
    target = Path(eve.ask("POST", "/stations/gears/lessons/folder", names).body["folder"])
    copied = sorted(str(each.relative_to(target).parent) for each in target.rglob("*.png"))
    assert copied == ["defects/oil_spot", "good"]
    assert len((target / "parts.csv").read_text().splitlines()) == 3
    assert ("eve", "hand over", "gears") in audit_of(folder)
    page = eve.page("/stations/gears/teach").body.decode()
    assert "../oil spot" in page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if absent := missing():
        pytest.fail(f"{' and '.join(absent)} not found: apt-get install chromium chromium-driver")
    with Browser(1280, 900) as opened:
        yield opened


SHOWN = "document.getElementById('{}').textContent"
STANDING = "document.querySelector('.proposal')?.dataset.standing"


@pytest.mark.browser
def test_parts_are_judged_taught_put_live_and_undone_by_keyboard_alone(tmp_path: Path, browser: Browser) -> None:
    good(tmp_path / "others", 12, 20)
    spots(tmp_path / "bad" / "spot", 3)
    text = LINE + 'types = ["spot"]\n[stations.quality]\ngood = "others"\ndefects = "bad"\n'
    settings = line_settings(tmp_path, text)
    recipe_file(tmp_path, accept=-1e9, reject=1e9)  # all is for review
    add_people(tmp_path)
    shown = [*good(tmp_path / "come", 7, 60), *spots(tmp_path / "come", 3)]
    before = hash_of(tmp_path / "gear.blemish")
    with running(settings, judge_by_recipe) as client:
        eve = client.login("eve", PASSWORD)
        eve.wait_for("/health", lambda body: "Continuous" in body["stations"][0]["state"])
        for number, path in enumerate(shown):
            assert eve.ask("POST", f"/stations/gears/parts/n{number}/views/front", path.read_bytes()).status == 200
        eve.wait_for("/review", lambda body: body["waiting"] == 10)
        browser.open(f"http://127.0.0.1:{client.port}/login")
        browser.press(*"eve", "Tab", *PASSWORD, "Enter")
        browser.until("document.getElementById('station')")
        browser.open(f"http://127.0.0.1:{client.port}/review")
        for number in range(10):
            browser.until(SHOWN.format("part") + f" === 'n{number}'")
            browser.press("a" if number < 7 else "1")
        browser.until(SHOWN.format("verdict") + " === 'nothing waits'")
        browser.open(f"http://127.0.0.1:{client.port}/stations/gears/teach")
        browser.until("document.querySelectorAll('.tile').length === 10")
        browser.press("t", "t", "ArrowRight", "t", "ArrowRight", "ArrowRight", "t")  # two spots, and a good part
        browser.until(SHOWN.format("chosen") + " === '3'")
        browser.press("g")
        browser.until(f"['proposed', 'failed'].includes({STANDING})")
        flips = browser.run("return Number(document.querySelector('[data-flips]').dataset.flips)")
        assert flips > 0, browser.run("return document.querySelector('.proposal').textContent")
        browser.press("l")
        browser.until(f"{STANDING} === 'live'")
        live = hash_of(tmp_path / "gear.blemish")
        assert live != before
        assert eve.ask("GET", "/health").body["stations"][0]["hash"] == live
        browser.press("u")
        browser.until(f"{STANDING} === 'undone'")
        assert eve.ask("GET", "/health").body["stations"][0]["hash"] == before == hash_of(tmp_path / "gear.blemish")
        assert browser.log() == []
        browser.open("about:blank")  # the line ends
    said = audit_of(tmp_path)
    assert {who for who, _, _ in said} == {"eve"}
    assert [what for _, what, _ in said] == [*10 * ["judge"], "teaching proposed", "teaching live", "teaching undone"]


@pytest.mark.browser
def test_thresholds_are_moved_on_the_histogram_by_keyboard(line: tuple[Client, Path], browser: Browser) -> None:
    client, _ = line
    eve = client.login("eve", PASSWORD)
    eve.wait_for("/health", lambda body: "Continuous" in body["stations"][0]["state"])
    for at, says in enumerate(("accept", "review", "reject")):
        assert eve.send(f"h{at}", says).status == 200
    eve.wait_for("/stations/gears/parts/h2", lambda body: "verdict" in body)
    browser.open(f"http://127.0.0.1:{client.port}/login")
    browser.press(*"eve", "Tab", *PASSWORD, "Enter")
    browser.until("document.getElementById('station')")
    browser.open(f"http://127.0.0.1:{client.port}/stations/gears/quality")
    browser.until("document.getElementById('promise').children.length === 4")
    browser.run("document.getElementById('handle-reject').focus()")
    browser.press("ArrowLeft")
    browser.until("document.getElementById('flips').children.length > 0")
    browser.until("!document.getElementById('propose').disabled")
    assert browser.run("return document.getElementById('flips').textContent").startswith("h1: review → reject")
    browser.press("p")
    browser.until(f"{STANDING} === 'proposed'")
    browser.press("w")
    browser.until(f"{STANDING} === 'withdrawn'")
    assert browser.log() == []


@pytest.mark.browser
def test_every_page_fits_a_desk_and_a_tablet(line: tuple[Client, Path], browser: Browser) -> None:
    client, _ = line
    browser.open(f"http://127.0.0.1:{client.port}/login")
    browser.press(*"eve", "Tab", *PASSWORD, "Enter")
    browser.until("document.getElementById('station')")
    for width, height in ((1280, 900), (768, 1024)):
        browser.emulate({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})
        for name in ("", "/quality", "/teach", "/recipes", "/trends"):
            browser.open(f"http://127.0.0.1:{client.port}/stations/gears{name}")
            browser.until("document.readyState === 'complete'")
            wide = browser.run("return document.documentElement.scrollWidth")
            assert wide <= width, (name, width, wide)
    browser.emulate(None)
    assert browser.log() == []
