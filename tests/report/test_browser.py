"""The page in a real Chromium: what is seen is what a plain computation finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image
from scipy import stats
from tests.report.test_commands import recipe
from tests.report.test_page import HOSTILE
from tests.support.browser import Browser, missing
from tests.support.pages import Row, labelled, result, written

from blemish.images import source_of
from blemish.metrics.image import auroc
from blemish.metrics.naming import score_names
from blemish.report import About, Item, Writer, pictures
from blemish.report.items import Encoded

pytestmark = pytest.mark.browser

COUNTS = """
return ["accept", "review", "reject"].map((name) =>
    Number(document.getElementById("count-" + name).textContent.replaceAll("\u202f", "")))
"""
ALL_DRAWN = "[...document.querySelectorAll('.card img')].every((each) => each.complete && each.naturalWidth > 0)"
HOTTEST = """[...document.querySelectorAll(".card canvas")].map((each) => {
    const pixels = each.getContext("2d").getImageData(0, 0, each.width, each.height).data;
    return pixels.reduce((most, value, at) => (at % 4 === 3 ? Math.max(most, value) : most), 0);
})"""
FRAMES = "return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if absent := missing():
        advice = "apt-get install chromium chromium-driver, or leave these tests out by -m 'not browser'"
        pytest.fail(f"{' and '.join(absent)} not found: {advice}")
    with Browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def rows(folder: Path) -> list[Row]:
    return written(folder / "labelled.html", labelled(60), goods=3)


@pytest.fixture
def page(browser: Browser, folder: Path, rows: list[Row]) -> Iterator[Browser]:
    browser.open(folder / "labelled.html")
    yield browser
    assert browser.log() == []


def verdicts(scores: Sequence[float], accept: float, reject: float) -> list[int]:
    found = Counter("accept" if score < accept else "reject" if score >= reject else "review" for score in scores)
    return [found[name] for name in ("accept", "review", "reject")]


def text(browser: Browser, name: str) -> str:
    found: str = browser.run("return document.getElementById(arguments[0]).textContent", name)
    return found


def agrees(browser: Browser, rows: list[Row]) -> tuple[float, float]:
    """The page's counts are those of its thresholds, computed here; returns the thresholds."""
    browser.run(FRAMES)
    reject = float(browser.run("return document.getElementById('handle-reject').ariaValueNow"))
    accept = float(browser.run("return document.getElementById('handle-accept').ariaValueNow"))
    assert browser.run(COUNTS) == verdicts([row.score for row in rows], accept, reject)
    good = [row.score for row in rows if row.label == "good"]
    bad = [row.score for row in rows if row.label not in ("", "good")]
    assert text(browser, "escapes") == f"{sum(score < accept for score in bad)} of {len(bad)}"
    assert text(browser, "overkill") == f"{sum(score >= reject for score in good)} of {len(good)}"
    return accept, reject


def test_dragging_the_threshold_moves_the_counts(page: Browser, rows: list[Row]) -> None:
    begun = agrees(page, rows)
    seen = {tuple(page.run(COUNTS))}
    for way in (160, -90, 240):
        page.drag("#handle-reject span", way)
        accept, reject = agrees(page, rows)
        assert accept == reject != begun[1]
        seen.add(tuple(page.run(COUNTS)))
    assert len(seen) == 4
    page.click("#reset")
    assert agrees(page, rows) == begun


def test_an_arrow_key_moves_the_threshold_past_one_picture(page: Browser, rows: list[Row]) -> None:
    before = page.run(COUNTS)
    page.run("document.getElementById('handle-reject').focus()")
    page.press("ArrowRight")
    agrees(page, rows)
    assert page.run(COUNTS) == [before[0] + 1, 0, before[2] - 1]
    page.press("ArrowLeft", "ArrowLeft")
    agrees(page, rows)
    assert page.run(COUNTS) == [before[0] - 1, 0, before[2] + 1]
    page.press("End")
    agrees(page, rows)
    assert page.run(COUNTS) == [len(rows), 0, 0]


def test_two_thresholds_leave_a_band_for_review(page: Browser, rows: list[Row]) -> None:
    page.click("#band")
    accept, reject = agrees(page, rows)
    assert accept < reject
    assert page.run(COUNTS)[1] > 0
    page.drag("#handle-accept span", -60)
    assert agrees(page, rows)[0] < accept
    page.drag("#handle-accept span", 900)
    accept, reject = agrees(page, rows)
    assert accept == reject


def test_a_threshold_can_be_typed(page: Browser, rows: list[Row]) -> None:
    page.run("document.getElementById('reject').select()")
    page.press("1", ".", "5", "Tab")
    assert agrees(page, rows) == (1.5, 1.5)
    assert "Moved by hand" in text(page, "origin")


def test_the_intervals_are_exact(page: Browser) -> None:
    cases = [(0, 1), (0, 50), (3, 392), (50, 50), (1, 2), (117, 318), (9999, 10000)]
    for k, n in cases:
        exact = stats.binomtest(k, n).proportion_ci(0.95, method="exact")
        assert page.run("return interval(arguments[0], arguments[1])", k, n) == pytest.approx(list(exact), abs=1e-9)


def test_areas_under_the_curve_are_those_of_the_metrics(page: Browser, rows: list[Row]) -> None:
    known = [row for row in rows if row.label]
    expected = auroc([row.score for row in known], [row.label != "good" for row in known])
    assert page.run("return auroc(evidence().good, evidence().defects)") == pytest.approx(expected)
    page.press("2")
    page.run(FRAMES)
    assert page.run("return document.querySelectorAll('#measures svg.chart').length") == 2
    table = page.run(
        "return [...document.querySelectorAll('#measures tbody tr')].map((row) => row.innerText.split('\\t'))"
    )
    reject = page.run("return thresholds.reject")
    for kind in ("scratch", "dent"):
        scores = [row.score for row in rows if row.label == kind]
        (cells,) = [cells for cells in table if cells[0] == kind]
        assert cells[1:3] == [str(len(scores)), str(sum(score < reject for score in scores))]
        assert float(cells[-2]) == pytest.approx(np.median(scores), rel=1e-3)


def test_what_is_taken_for_what_is_a_picture(browser: Browser, folder: Path) -> None:
    labels, scores = ["scratch"] * 4 + ["dent"], [[0.9, 0.1]] * 3 + [[0.2, 0.8]] * 2
    naming = score_names([*labels, "good"], [*scores, [0.1, 0.1]], ("scratch", "dent"), [True] * 5 + [False])
    assert naming is not None
    written(folder / "named.html", labelled(12), measures={"naming": naming.as_json()})
    browser.open(folder / "named.html")
    browser.press("2")
    browser.run(FRAMES)
    cells = browser.run(
        "return [...document.querySelectorAll('#measures .confusion tbody tr')]"
        ".map((row) => row.innerText.split('\\t'))"
    )
    assert cells == [["scratch", "3", "1", ""], ["dent", "", "1", ""], ["good", "", "", "1"]]
    shades = browser.run(
        "return [...document.querySelectorAll('#measures .confusion tbody tr:first-child td')]"
        ".map((cell) => Number(getComputedStyle(cell).backgroundColor.split('/')[1]?.replace(')', '') ?? 0))"
    )
    assert shades == [pytest.approx(0.53, abs=0.02), pytest.approx(0.18, abs=0.02), 0]
    assert "Named right0.8000.284" in text(browser, "measures")
    assert browser.log() == []


def test_pictures_and_heat_are_drawn(page: Browser) -> None:
    page.until(ALL_DRAWN)
    assert page.run("return document.querySelectorAll('.card img').length") >= 20
    page.until(f"{HOTTEST}.every((each) => each > 0)")
    assert page.run(f"return {HOTTEST}[0]") == 255


def test_the_keyboard_leads_everywhere(page: Browser, rows: list[Row]) -> None:
    names = [Path(row.path).name for row in rows]
    page.run("document.querySelector('.card[tabindex=\"0\"]').focus()")
    page.press("ArrowRight", "ArrowRight", "Enter")
    assert page.run("return document.getElementById('viewer').open")
    assert text(page, "viewer-name") == names[2]
    page.until("document.querySelector('#stage-part img').naturalWidth === 64")
    page.until("document.querySelector('#stage-good img').naturalWidth === 64")
    page.press("ArrowRight", "+", "+")
    assert text(page, "viewer-name") == names[3]
    assert text(page, "zoom-fit") == "225 %"
    assert "scale(2.25)" in page.run("return document.querySelector('#stage-good .sheet').style.transform")
    page.press("0", "-")
    assert text(page, "zoom-fit") == "100 %"
    heat = "return Number(getComputedStyle(document.querySelector('#stage-part .heat')).opacity)"
    assert page.run(heat) > 0
    page.press("o")
    assert page.run(heat) == 0
    page.press("o", "Escape")
    assert not page.run("return document.getElementById('viewer').open")
    assert page.run("return document.activeElement.title") == rows[3].path
    columns = page.run("return columns")
    page.press("ArrowDown")
    assert page.run("return document.activeElement.title") == rows[3 + columns].path
    page.press("End")
    assert page.run("return document.activeElement.title") == rows[-1].path
    page.press("?")
    assert page.run("return document.getElementById('keys-list').open")


def test_a_filter_filters(page: Browser, rows: list[Row]) -> None:
    shown = "return document.querySelector('.card').ariaSetSize"
    kinds = "return [...document.querySelectorAll('.card')].map((each) => each.classList[1])"
    page.click("[data-verdict=accept]")
    page.run(FRAMES)
    _, reject = agrees(page, rows)
    accepted = [row for row in rows if row.score < reject]
    assert int(page.run(shown)) == len(accepted)
    assert set(page.run(kinds)) == {"accept"}
    page.click("[data-mistake=escape]")
    page.run(FRAMES)
    escaped = [row for row in accepted if row.label not in ("", "good")]
    assert int(page.run(shown)) == len(escaped)
    page.run("document.getElementById('type').value = 'dent'")
    page.run("document.getElementById('type').dispatchEvent(new Event('change'))")
    page.run(FRAMES)
    assert int(page.run(shown)) == sum(row.label == "dent" for row in escaped)
    page.press("/", *"no such name")
    page.until("!document.getElementById('nothing').hidden")
    page.click("#clear")
    page.run(FRAMES)
    assert int(page.run(shown)) == len(rows)


def test_filtered_pictures_follow_the_threshold(page: Browser, rows: list[Row]) -> None:
    page.click("[data-verdict=reject]")
    page.drag("#handle-reject span", 120)
    _, reject = agrees(page, rows)
    assert int(page.run("return document.querySelector('.card').ariaSetSize")) == sum(r.score >= reject for r in rows)


def test_nothing_is_asked_of_any_network(page: Browser) -> None:
    asked: list[str] = page.run("return performance.getEntriesByType('resource').map((each) => each.name)")
    assert [each for each in asked if not each.startswith("data:")] == []
    refused = page.run("return fetch('https://example.org/').then(() => 'answered', () => 'refused')")
    assert refused == "refused"
    page.log()


def test_hostile_names_are_text(browser: Browser, folder: Path) -> None:
    about = About(
        HOSTILE, HOSTILE, HOSTILE, {HOSTILE: [HOSTILE]}, [{"name": HOSTILE, "kind": HOSTILE}], {"hash": HOSTILE}
    )
    found = [result(number)._replace(source=source_of(Path(f"{number}{HOSTILE}"))) for number in range(3)]
    written(folder / "hostile.html", list(zip(found, ("good", HOSTILE, ""), strict=True)), about, goods=1)
    browser.open(folder / "hostile.html")
    for key in ("2", "3", "1"):
        browser.press(key)
        browser.run(FRAMES)
    browser.run("document.querySelector('.card[tabindex=\"0\"]').focus()")
    browser.press("Enter", "ArrowRight")
    assert HOSTILE.rpartition("/")[2] in text(browser, "viewer-name")
    assert browser.run("return window.hacked === undefined")
    assert browser.run("return document.querySelectorAll('[onerror], img[src=x]').length") == 0
    assert browser.log() == []


def test_an_unlabelled_run_is_decided_by_its_calibration(browser: Browser, folder: Path) -> None:
    calibration = recipe()["calibration"] | {"accept": 0.35, "reject": 0.9}
    about = About("plate", recipe={"hash": "ab12"}, calibration=calibration)
    rows = written(folder / "unknown.html", [(result(number), "") for number in range(12)], about)
    browser.open(folder / "unknown.html")
    assert browser.run(COUNTS) == verdicts([row.score for row in rows], 0.35, 0.9)
    assert text(browser, "escapes") == "0 of 2"
    assert text(browser, "overkill") == "0 of 3"
    assert "recipe ab12" in text(browser, "origin")
    browser.run("setThreshold('accept', 0.5)")
    browser.run(FRAMES)
    assert text(browser, "escapes") == "1 of 2"


def test_types_decide_the_verdict_where_they_ask_for_one(browser: Browser, folder: Path) -> None:
    path, calibration = folder / "severe.html", recipe()["calibration"] | {"accept": 0.5, "reject": 0.5}
    rows = [("dent", 0.9, "accept", ["accept"]), ("good", 0.1, "reject", ["", "reject"]), ("", 0.2, "accept", []),
            ("", 0.3, "reject", ["reject"])]  # fmt: skip
    small = Encoded(pictures.small(Image.new("RGB", (64, 48))))
    with Writer(path, About("plate", recipe={"hash": "ab12"}, calibration=calibration)) as writer:
        for number, (label, score, verdict, asked) in enumerate(rows):
            found = [{"type": "dent", "score": score, "severity": each} for each in asked]
            writer.put(Item(f"{number}.png", score, (64, 48), label, verdict=verdict, regions=found, small=small))
        writer.finish()
    browser.open(path)
    browser.run(FRAMES)
    assert browser.run(COUNTS) == [2, 0, 2]
    assert (text(browser, "escapes"), text(browser, "overkill")) == ("1 of 1", "1 of 1")
    shown = "return [...document.querySelectorAll('.card .verdict')].map((each) => each.textContent)"
    assert browser.run(shown) == ["accept", "reject", "accept", "reject"]
    assert browser.log() == []


def test_a_picture_of_two_types_shows_both_and_is_found_by_each(browser: Browser, folder: Path) -> None:
    path, small = folder / "both.html", Encoded(pictures.small(Image.new("RGB", (64, 48))))
    with Writer(path, About("plate")) as writer:
        for number, types in enumerate(("crack+dent", "dent", "")):
            writer.put(Item(f"{number}.png", 3.0 - number, (64, 48), type=types, small=small))
        writer.finish()
    browser.open(path)
    browser.run(FRAMES)
    shown = "return [...document.querySelectorAll('.card .type')].map((each) => each.textContent)"
    assert browser.run(shown) == ["crack+dent", "dent"]
    options = "return [...document.querySelectorAll('#type option')].map((each) => each.textContent)"
    assert browser.run(options) == ["all", "dent (2)", "crack (1)", "unknown (1)"]
    browser.run("byId('type').value = 'crack'; byId('type').dispatchEvent(new Event('change'))")
    browser.run(FRAMES)
    assert browser.run(shown) == ["crack+dent"]


@pytest.mark.parametrize("task", ["defects", "types"])
def test_a_long_name_of_a_file_leaves_room_for_the_type(
    browser: Browser, folder: Path, task: Literal["defects", "types"]
) -> None:
    path, small = folder / "long.html", Encoded(pictures.small(Image.new("RGB", (64, 48))))
    with Writer(path, About("plate", task=task)) as writer:
        writer.put(Item("camera_3_of_line_12_part_000123.png", 1.0, (64, 48), type="surface_scratch", small=small))
        writer.finish()
    browser.open(path)
    browser.run(FRAMES)
    whole = "const {scrollWidth, clientWidth, clientHeight} = document.querySelector('.card .type'); "
    assert browser.run(f"{whole}return scrollWidth <= clientWidth && clientHeight < 20")


def test_a_page_starts_where_good_parts_suggest_and_says_so(browser: Browser, folder: Path) -> None:
    about = About("plate", suggested={"good": [0.1, 0.2, 0.3], "accept": 0.4, "reject": 0.4})
    rows = written(folder / "suggested.html", [(result(number), "") for number in range(6)], about)
    browser.open(folder / "suggested.html")
    assert browser.run(COUNTS) == verdicts([row.score for row in rows], 0.4, 0.4)
    assert "where 3 different good parts suggest" in text(browser, "origin")
    assert "Not calibrated" in text(browser, "origin")


def test_a_run_without_labels_says_what_is_not_known(browser: Browser, folder: Path) -> None:
    written(folder / "bare.html", [(result(number), "") for number in range(6)])
    browser.open(folder / "bare.html")
    assert browser.run("return document.getElementById('rates').hidden")
    assert "arbitrary" in text(browser, "origin")
    browser.press("2")
    assert "Nothing is labelled" in text(browser, "measures")


def test_an_empty_page_opens(browser: Browser, folder: Path) -> None:
    written(folder / "empty.html", [])
    browser.open(folder / "empty.html")
    assert browser.run(COUNTS) == [0, 0, 0]
    assert browser.log() == []


def test_ten_thousand_pictures_open_with_few_of_them_in_the_page(browser: Browser, folder: Path) -> None:
    image = Image.effect_noise((128, 96), 60)
    heat, scores = pictures.heat(np.random.default_rng(0).random((24, 32), np.float32), 32)
    small = Encoded(pictures.small(image), heat, scores)
    with Writer(folder / "many.html", About("plate")) as writer:
        for number in range(10_000):
            label = "dent" if number % 7 == 0 else "good"
            writer.put(Item(f"line/{number}.png", float(np.sin(number)), (640, 480), label, small=small))
        writer.finish()
    browser.open(folder / "many.html")
    cards = "return document.querySelectorAll('.card').length"
    assert sum(browser.run(COUNTS)) == 10_000
    assert 10 < browser.run(cards) < 150
    browser.run("document.querySelector('.card[tabindex=\"0\"]').focus()")
    browser.press("End")
    browser.run(FRAMES)
    assert browser.run("return document.activeElement.ariaPosInSet") == "10000"
    assert browser.run(cards) < 150
    browser.run("scrollTo(0, document.body.scrollHeight / 2)")
    browser.run(FRAMES)
    assert browser.run(cards) < 150
    browser.until(ALL_DRAWN)


def test_a_narrow_window_needs_no_sideways_scrolling(page: Browser) -> None:
    narrow: dict[str, Any] = {"width": 420, "height": 900, "deviceScaleFactor": 1, "mobile": True}
    page.emulate(narrow)
    try:
        for key in ("1", "2", "3"):
            page.press(key)
            page.run(FRAMES)
            assert page.run("return document.documentElement.scrollWidth") <= 420
    finally:
        page.emulate(None)


def test_on_paper_the_worst_are_shown_with_measures(page: Browser) -> None:
    page.until("document.querySelectorAll('#printed .contact figure').length === 24")
    page.until("[...document.querySelectorAll('#printed img')].every((each) => each.complete && each.naturalWidth > 0)")
    assert page.pdf().startswith(b"%PDF")
    assert "By type" in text(page, "printed")


def test_a_page_is_dark_or_light_as_asked(page: Browser) -> None:
    shade = "return getComputedStyle(document.body).backgroundColor"
    before = page.run(shade)
    page.click("#theme")
    assert page.run(shade) != before


def test_a_page_of_names_shows_mistakes_and_the_heat_of_each_type(browser: Browser, folder: Path) -> None:
    path, rows = folder / "names.html", [("dent", "hole", 0.9), ("dent", "dent", 0.2), ("hole", "hole", 0.3)]
    named = score_names(["dent", "dent", "hole"], [[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]], ["dent", "hole"])
    assert named
    with Writer(path, About("plate", "ridge", task="types")) as writer:
        for number, row in enumerate(rows):
            writer.put(_named_item(number, *row))
        writer.finish(measures={"naming": named.as_json(), "notes": []})
    browser.open(path)
    browser.run(FRAMES)
    assert browser.run("return getComputedStyle(document.querySelector('.decision')).display") == "none"
    shown = "return [...document.querySelectorAll('.card .type')].map((each) => each.textContent)"
    assert browser.run(shown) == ["dent → hole", "hole", "dent"]
    browser.click("[data-mistake=misnamed]")
    browser.run(FRAMES)
    assert browser.run(shown) == ["dent → hole"]
    assert browser.run(FITS, "contamination_of_metal → broken_small_and_large")
    browser.run("document.querySelector('.card').click()")
    assert browser.run("return [...byId('map').options].map((each) => each.value)") == ["dent", "hole"]
    assert browser.run("return byId('map').value") == "hole"
    for name, low, high in (("dent", 200, 256), ("hole", 0, 100)):
        browser.run("byId('map').value = arguments[0]; byId('map').dispatchEvent(new Event('change'))", name)
        browser.until(f"{low} < {HOTTEST_OF_PART} && {HOTTEST_OF_PART} < {high}")
    assert "0.100" in text(browser, "facts")
    browser.press("Escape")
    browser.run("openTab('measures')")
    assert "Named right" in text(browser, "measures")
    assert "is, and is said to be" in text(browser, "measures")
    assert browser.log() == []


FITS = """
    const type = document.querySelector(".card .type"), card = type.closest(".card");
    type.textContent = arguments[0];
    const [own, around] = [type, card].map((each) => each.getBoundingClientRect());
    const below = parseFloat(card.style.width) + CARD.text;
    return own.height > 18 && own.right <= around.right + 1 && own.bottom <= around.top + below + 1;
"""


HOTTEST_OF_PART = """(() => {
    const canvas = document.querySelector("#stage-part canvas.heat");
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    return pixels.reduce((most, value, at) => (at % 4 === 3 ? Math.max(most, value) : most), 0);
})()"""


def _named_item(number: int, label: str, said: str, score: float) -> Item:
    image = Image.new("RGB", (64, 48), (90, 90, 90))
    maps = {name: np.eye(48, 64, dtype=np.float32) * strength for name, strength in (("dent", 1.0), ("hole", 0.2))}
    return Item(
        f"{number}.png",
        score,
        (64, 48),
        label,
        said,
        mistake="misnamed" if said != label else "",
        regions=[{"likeliest": {said: 0.7, "dent" if said == "hole" else "hole": 0.3}}],
        small=Encoded(pictures.small(image), *pictures.heat(maps["dent"], 32)),
        large=pictures.encode_large(image, maps["dent"], None, maps),
    )
