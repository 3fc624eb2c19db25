from __future__ import annotations

import base64
import io
import json
import math
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.support.pages import Page, labelled, mask, result, written

from blemish.errors import CannotWrite
from blemish.images import Unreadable, source_of
from blemish.metrics.pixel import Curves
from blemish.report import About, GoodParts, Item, Writer, pictures
from blemish.report.decision import start
from blemish.report.items import Encoded
from blemish.report.selection import Selection
from blemish.report.spool import Spool
from blemish.runs.decision import Decided
from blemish.types import Sample

HOSTILE = '</script><script>window.hacked = 1</script><img src=x onerror="window.hacked = 1"><!--.png'


def opened(data: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_everything_is_in_the_file_and_nothing_is_loaded(tmp_path: Path) -> None:
    written(tmp_path / "page.html", labelled(8), goods=2)
    page = Page(tmp_path / "page.html")
    for tag, attributes in page.tags:
        for name in ("src", "href", "srcset", "action", "data", "poster", "background", "xlink:href"):
            assert (attributes.get(name) or "data:,").startswith("data:"), tag
    assert "url(" not in page.texts["style"]
    assert "@import" not in page.texts["style"]
    for way_out in ("fetch(", "XMLHttpRequest", "WebSocket", "EventSource", "sendBeacon", "import(", "Worker("):
        assert way_out not in page.texts["script"]
    assert [word for word in page.texts["script"].split('"') if "://" in word] == ["http://www.w3.org/2000/svg"]


def test_the_content_policy_allows_this_script_and_this_style_and_no_network(tmp_path: Path) -> None:
    written(tmp_path / "page.html", labelled(3))
    page = Page(tmp_path / "page.html")
    (policy,) = [
        attributes["content"] for tag, attributes in page.tags if "Policy" in (attributes.get("http-equiv") or "")
    ]
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    for kind in ("script", "style"):
        digest = base64.b64encode(sha256(page.texts[kind].encode()).digest()).decode()
        assert rules[f"{kind}-src"] == f"'sha256-{digest}'"


def test_no_name_can_break_out_of_its_place(tmp_path: Path) -> None:
    plain, hostile = tmp_path / "plain.html", tmp_path / "hostile.html"
    written(plain, [(result(0, path="a.png"), "good"), (result(1, path="b.png"), "dent")])
    names = [HOSTILE, "\udcff \u2028 ]]> & \"'\n\x00{{title}}/*script*/<!--data-->"]
    about = About(
        HOSTILE, HOSTILE, HOSTILE, {HOSTILE: [HOSTILE]}, [{"name": HOSTILE, "kind": HOSTILE}], {"hash": HOSTILE}
    )
    results = [(result(number, path=name), name) for number, name in enumerate(names)]
    written(
        hostile,
        [
            (found._replace(source=source_of(Path(name))), label)
            for (found, label), name in zip(results, names, strict=True)
        ],
        about,
    )
    ordinary, page = Page(plain), Page(hostile)
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in ordinary.tags]
    assert {item["label"] for item in page.items} == set(names)
    assert {item["path"] for item in page.items} == {str(Path(name)) for name in names}
    assert page.about["settings"] == {HOSTILE: [HOSTILE]}
    assert page.texts["title"].startswith(HOSTILE)
    assert page.texts["script"] == ordinary.texts["script"]


def test_pictures_are_listed_worst_first_with_what_is_known(tmp_path: Path) -> None:
    rows = written(tmp_path / "page.html", labelled(20), goods=3)
    items = Page(tmp_path / "page.html").items
    assert [(item["path"], item["score"], item.get("label", "")) for item in items] == rows
    defect = next(item for item in items if item.get("label") == "dent")
    assert defect["area"] == mask().sum()
    assert defect["size"] == [64, 48]
    assert 30 <= defect["peak"][0] < 44
    assert 8 <= defect["peak"][1] < 20
    assert "area" not in next(item for item in items if item.get("label") == "good")


def test_the_pictures_lie_where_the_page_looks_for_them(tmp_path: Path) -> None:
    written(tmp_path / "page.html", labelled(120), goods=1)
    page = Page(tmp_path / "page.html")
    small = [line for block in ("small-0", "small-1") for line in page.texts[block].splitlines()]
    assert len(small) == 120
    for place in (0, 99, 100, 119):
        picture, overlay = map(opened, small[place].split(" "))
        assert picture.format == "WEBP"
        assert picture.size == (64, 48)
        low, _, high = page.items[place]["heat"]
        grey = np.asarray(overlay, dtype=np.float64)
        assert overlay.mode == "L"
        assert high == pytest.approx(page.items[place]["score"], abs=0.1001)
        assert low + (high - low) * grey[6, 18] / 255 == pytest.approx(high, abs=0.11)
    assert json.loads(page.texts["good-0"])["name"] == "good/0.png"


def test_large_pictures_are_kept_of_the_worst_and_of_the_missed_only(tmp_path: Path) -> None:
    with Writer(tmp_path / "page.html", About("plate")) as writer:
        writer.selection = Selection(3, 2)
        for found, label in labelled(30):
            writer.add(Decided(found), Sample(Path(), label))
        writer.finish()
    page = Page(tmp_path / "page.html")
    defects = [place for place, item in enumerate(page.items) if item.get("label") in ("scratch", "dent")]
    kept = {int(name.removeprefix("large-")) for name in page.texts if name.startswith("large-")}
    assert kept == {0, 1, 2, *defects[-2:]}
    assert page.about["stored"]["kept"] == len(kept)
    assert opened(json.loads(page.texts["large-0"])["picture"]).size == (64, 48)


def test_ten_thousand_pictures_make_a_bounded_page_with_bounded_memory(tmp_path: Path) -> None:
    """Items of the largest size that `pictures.small` makes; 10,000 real ones take minutes, which a benchmark may."""
    small = Encoded(b"\x00" * pictures.SMALL_BYTES, b"\x00" * 900, (0.0, 0.1, 1.0))
    with Writer(tmp_path / "page.html", About("plate")) as writer:
        for number in range(10_000):
            writer.put(Item(f"line/{number}.png", math.sin(number), (640, 480), small=small))
        held = sum(
            len(part) * part.itemsize for part in (writer._scores, writer._middles, writer._peaks, writer._nearest)
        )
        writer.finish()
    assert held + len(writer._kinds) < 32 * 10_000
    assert (tmp_path / "page.html").stat().st_size < 70e6
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.parametrize("side", [(40, 3000), (900, 1200), (1, 1)])
def test_a_thumbnail_of_noise_is_bounded_too(side: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (*side, 3), dtype=np.uint8)
    data = pictures.small(Image.fromarray(noise))
    assert 0 < len(data) <= pictures.SMALL_BYTES
    assert max(Image.open(io.BytesIO(data)).size) <= pictures.SMALL


def test_a_small_defect_is_not_averaged_away() -> None:
    anomaly_map = np.zeros((2000, 1500), np.float32)
    anomaly_map[700, 300] = 5.0
    data, (low, middle, high) = pictures.heat(anomaly_map, 32)
    grey = np.asarray(Image.open(io.BytesIO(data)))
    assert (low, middle, high) == (0.0, 0.0, 5.0)
    assert np.argwhere(grey == 255).tolist() == [[11, 4]]


def test_what_was_not_inspected_is_dark_and_has_no_heat() -> None:
    picture = np.full((3, 60, 80), 200, np.uint8)
    anomaly_map = np.random.default_rng(0).random((60, 80), np.float32)
    anomaly_map[:, 40:] = np.nan
    shown = np.asarray(pictures.grey_out(picture, anomaly_map))
    assert (shown[:, :39] == 200).all()
    assert (shown[:, 41:] == 80).all()
    data, scores = pictures.heat(anomaly_map, 32)
    assert all(map(math.isfinite, scores))
    assert (np.asarray(Image.open(io.BytesIO(data)))[:, 20:] == 0).all()


def test_the_nearest_good_part_is_the_one_that_looks_alike() -> None:
    with GoodParts() as goods:
        assert goods.nearest(Image.new("RGB", (20, 20))) is None
        for grey in (10, 120, 240):
            goods.add(f"{grey}.png", Image.new("RGB", (40, 20), (grey, grey, grey)))
        goods.add("upright.png", Image.new("RGB", (20, 40), (120, 120, 120)))
        assert [goods.nearest(Image.new("RGB", (400, 200), (grey,) * 3)) for grey in (0, 100, 255)] == [0, 1, 2]
        assert goods.nearest(Image.new("RGB", (200, 400), (110,) * 3)) == 3


def test_the_thresholds_start_where_it_is_said() -> None:
    scores = [0.1, 0.2, 0.3, 0.4, 0.9]
    bad, good = [False, False, True, True, True], [True, True, False, False, False]
    assert start(scores, bad, good, None) == (0.3, 0.3, "f1")
    assert start(scores, bad, good, {"accept": 0.25, "reject": "inf"}) == (0.25, "inf", "calibration")
    suggested = {"accept": 0.35, "reject": 0.35}
    assert start(scores, bad, good, None, suggested) == (0.35, 0.35, "suggestion")
    assert start(scores, bad, good, {"accept": 0.25, "reject": "inf"}, suggested).origin == "calibration"
    nobody = [False] * 5
    far = start(scores, nobody, nobody, None)
    assert far.origin == "spread"
    assert far.accept == far.reject == pytest.approx(0.3 + 3 * 1.4826 * 0.1)
    assert start([], [], [], None) == (0.0, 0.0, "spread")


def test_measures_and_curves_are_in_the_page_and_nan_is_null(tmp_path: Path) -> None:
    curves = Curves(np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.8, 1.0]), np.array([0.0, 0.7, 1.0]))
    measures = {"image_auroc": {"value": 0.9, "low": 0.8, "high": math.nan}}
    written(tmp_path / "page.html", labelled(4), measures=measures, curves=curves)
    about = Page(tmp_path / "page.html").about
    assert about["measures"] == {"image_auroc": {"value": 0.9, "low": 0.8, "high": None}}
    assert about["curves"] == {"rate": [0, 0.5, 1], "recall": [0, 0.8, 1], "overlap": [0, 0.7, 1]}


def test_what_cannot_be_ranked_or_read_is_listed(tmp_path: Path) -> None:
    with Writer(tmp_path / "page.html", About("plate")) as writer:
        writer.add(Unreadable("broken.png", "broken.png is empty"))
        writer.add(Decided(result(1)._replace(score=math.nan)))
        writer.add(Decided(result(2)))
        writer.finish()
    about = Page(tmp_path / "page.html").about
    assert (about["count"], about["unreadable_count"]) == (1, 2)
    assert "its score is nan" in about["unreadable"][1]["error"]


def test_a_page_without_pictures_can_be_written(tmp_path: Path) -> None:
    written(tmp_path / "page.html", [])
    assert Page(tmp_path / "page.html").about["count"] == 0


def test_an_unfinished_page_leaves_nothing(tmp_path: Path) -> None:
    with Writer(tmp_path / "page.html", About("plate")) as writer:
        writer.add(Decided(result(0)))
        assert sorted(path.name for path in tmp_path.iterdir()) == [".page.html.lock", "page.html.part"]
    assert not list(tmp_path.iterdir())


def test_a_page_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotWrite, match="cannot be written"), Writer(tmp_path / "file" / "page.html", About("plate")):
        pass


def test_a_spool_gives_back_what_it_got_in_any_order() -> None:
    with Spool() as spool:
        numbers = [spool.add(piece) for piece in (b"one", b"", b"three")]
        assert numbers == [0, 1, 2]
        assert [spool[number] for number in (2, 0, 1)] == [b"three", b"one", b""]
        assert spool[spool.add(b"four")] == b"four"
        assert len(spool) == 4
