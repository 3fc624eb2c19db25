from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from tests.cli.test_evaluate import category
from tests.cli.test_inspect import QUICK, inspect, lines, parts, picture, run
from tests.support.pages import Page, labelled

from blemish import inspection
from blemish.blocks.defect_regions import regions
from blemish.images import Unreadable
from blemish.metrics.image import f1_threshold
from blemish.report.runs import about_run, page_of
from blemish.report.runs import page as report_page
from blemish.runs.decision import Decided, TypedRegion

__all__ = ["parts"]


def test_inspect_writes_a_page_beside_what_it_writes_otherwise(parts: Path) -> None:
    result = inspect(parts, "--report", parts / "page.html")
    assert result.exit_code == 0, result.output
    assert f"report: {parts / 'page.html'}" in result.stdout
    page, found = Page(parts / "page.html"), lines(parts / "out" / "results.jsonl")
    assert [item["path"] for item in page.items] == [
        line["path"] for line in sorted(found, key=lambda line: -line["score"])
    ]
    for item in page.items:
        (line,) = [line for line in found if line["path"] == item["path"]]
        assert item["score"] == line["score"]
        assert item["peak"] == [line["peak"]["x"], line["peak"]["y"]]
    assert page.about["method"] == "patchcore"
    assert "random weights" in page.about["note"]
    assert [each["name"] for each in page.about["taught"]] == [str(parts / "good" / f"{n}.png") for n in range(4)]
    assert {json.loads(page.texts[f"good-{item['nearest']}"])["name"] for item in page.items} <= {
        each["name"] for each in page.about["taught"]
    }


def test_a_picture_that_cannot_be_read_is_listed_on_the_page(parts: Path) -> None:
    (parts / "new" / "broken.png").write_bytes(b"no picture")
    assert inspect(parts, "--report", parts / "page.html").exit_code == 3
    page = Page(parts / "page.html")
    assert (page.about["count"], page.about["unreadable_count"]) == (4, 1)
    assert "broken.png" in page.about["unreadable"][0]["error"]


def test_a_resumed_run_shows_the_earlier_pictures_too(parts: Path) -> None:
    inspect(parts)
    results = parts / "out" / "results.jsonl"
    text = results.read_text(encoding="utf-8").splitlines(keepends=True)
    results.write_text("".join(text[:3]), encoding="utf-8")
    assert inspect(parts, "--resume", "--report", parts / "page.html").exit_code == 0
    items = Page(parts / "page.html").items
    assert len(items) == 4
    assert ["heat" in item for item in items].count(True) == 1
    assert all(item["tinted"] for item in items)


def test_a_page_that_cannot_be_written_is_refused_before_anything_is_inspected(parts: Path) -> None:
    result = inspect(parts, "--report", parts / "new" / "spot.png" / "page.html")
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr
    assert not (parts / "out" / "results.jsonl").exists() or not lines(parts / "out" / "results.jsonl")


def test_evaluate_writes_a_page_with_labels_and_measures(tmp_path: Path) -> None:
    root = category(tmp_path / "steel_plate")
    page_file = tmp_path / "page.html"
    result = run("evaluate", root, "--layout", "mvtec", *QUICK, "--json", "--report", page_file)
    assert result.exit_code == 0, result.output
    page, report = Page(page_file), json.loads(result.stdout)
    assert [item["label"] for item in page.items] == ["spot"] * 4 + ["good"] * 4
    assert {item.get("area") for item in page.items} == {256, None}
    assert page.about["title"] == "steel plate"
    assert page.about["measures"]["aupro"] == report["aupro"]
    assert page.about["curves"]["recall"][-1] == 1
    assert "curves" not in report
    scores = [item["score"] for item in page.items]
    threshold = f1_threshold(scores, [item["label"] == "spot" for item in page.items])
    assert page.about["start"] == {"accept": threshold, "reject": threshold, "origin": "f1"}


def test_several_categories_get_a_page_each(tmp_path: Path) -> None:
    for name in ("bolt", "nut"):
        category(tmp_path / "data" / name)
    pages = tmp_path / "page.html"
    assert run("evaluate", tmp_path / "data", "--layout", "mvtec", *QUICK, "--report", pages).exit_code == 0
    assert sorted(path.name for path in tmp_path.glob("*.html")) == ["page-bolt.html", "page-nut.html"]
    assert Page(tmp_path / "page-nut.html").about["title"] == "nut"


def test_a_finished_run_can_be_shown_later(parts: Path) -> None:
    inspect(parts, "--product", "steel plate", "--set", "ratio=0.4")
    result = run("report", parts / "out")
    assert result.exit_code == 0, result.output
    assert "4 pictures" in result.stdout
    page = Page(parts / "out" / "report.html")
    assert page.about["title"] == "steel plate"
    assert page.about["settings"]["arguments"] == {"ratio": 0.4}
    assert page.items[0]["path"].endswith("spot.png")
    assert all(item["tinted"] and "heat" not in item and "nearest" in item for item in page.items)
    assert all(len(line.split(" ")) == 2 and all(line.split(" ")) for line in page.texts["small-0"].splitlines())


def test_of_a_picture_that_has_gone_the_heat_map_is_shown(parts: Path) -> None:
    inspect(parts)
    (parts / "new" / "spot.png").unlink()
    page_of(parts / "out", parts / "page.html")
    page = Page(parts / "page.html")
    first = page.texts["small-0"].splitlines()[0]
    assert "tinted" not in page.items[0]
    assert first.split(" ")[0]
    assert first.split(" ")[1] == ""


def test_without_pictures_and_heat_maps_the_scores_are_shown(parts: Path) -> None:
    inspect(parts, "--no-overlays")
    for path in (parts / "new").iterdir():
        path.unlink()
    page_of(parts / "out", parts / "page.html")
    page = Page(parts / "page.html")
    assert page.texts["small-0"].splitlines() == [" "] * 4
    assert not [name for name in page.texts if name.startswith("large-")]


def test_what_a_recipe_has_decided_is_on_the_page_of_its_run(parts: Path) -> None:
    inspect(parts)
    results = parts / "out" / "results.jsonl"
    region = {"box": {"x": 20, "y": 22, "width": 9, "height": 8}, "area": 70, "area_mm2": None, "score": 3.0}
    found = region | {"mean": 2.0, "contour": [[20, 22], [29, 22]], "type": "spot", "probability": 0.4}
    others = [found | {"type": name, "probability": sure} for name, sure in (("crack", 0.8), ("dent", 0.45))]
    more = {"verdict": "reject", "types": ["spot", "crack", "dent"], "regions": [found, *others]}
    results.write_text("".join(json.dumps(line | more) + "\n" for line in lines(results)), encoding="utf-8")
    made = parts / "out" / "run.json"
    made.write_text(json.dumps({"settings": json.loads(made.read_text())["settings"] | {"recipe": "ab12"}}))
    page_of(parts / "out", parts / "page.html", recipe=recipe())
    page = Page(parts / "page.html")
    assert page.about["start"] == {"accept": 0.5, "reject": "inf", "origin": "calibration"}
    assert page.about["recipe"] == {"hash": "ab12", "parent": ""}
    assert page.about["taught"] == [{"id": "0011", "name": "a.png", "kind": "good"}]
    assert page.items[0]["verdict"] == "reject"
    assert page.items[0]["type"] == "spot+crack"  # the worst region's, and what is likelier than not
    assert "contour" not in page.items[0]["regions"][0]
    assert json.loads(page.texts["large-0"])["outlines"] == [[[20, 22], [29, 22]]] * 3


def test_what_a_recipe_decides_is_on_the_page_as_it_is_inspected(tmp_path: Path) -> None:
    (result, _), page_file = labelled(1)[0], tmp_path / "page.html"
    (region, *_) = regions(result.anomaly_map, 0.2)
    about = about_run({"product": "plate", "recipe": "ab12"}, recipe())
    with report_page(page_file, about) as writer:
        writer.add(Decided(result, "review", (TypedRegion(region, "dent", reason="it may be hail"),), ("dent",)))
        writer.add(Unreadable("b.png", "b.png is empty"))
        writer.finish()
    page = Page(page_file)
    (item,) = page.items
    assert (item["verdict"], item["type"]) == ("review", "dent")
    said = region.as_json("dent") | {"reason": "it may be hail"}
    assert item["regions"] == [{key: value for key, value in said.items() if key != "contour"}]
    assert page.about["unreadable_count"] == 1
    assert page.about["calibration"] == recipe()["calibration"]


def test_an_interrupted_run_leaves_no_page(parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: Any, **options: Any) -> Iterator[Any]:
        yield from islice(stream(*arguments, **options), 2)
        raise KeyboardInterrupt

    stream = inspection.inspect
    monkeypatch.setattr(inspection, "inspect", interrupted)
    assert inspect(parts, "--report", parts / "page.html").exit_code != 0
    assert not list(parts.glob("page*"))
    monkeypatch.undo()
    assert inspect(parts, "--resume", "--report", parts / "page.html").exit_code == 0
    assert len(Page(parts / "page.html").items) == 4


def recipe() -> dict[str, Any]:
    return {
        "hash": "ab12",
        "parent": "",
        "taught": [{"id": "0011", "name": "a.png", "kind": "good"}],
        "calibration": {
            "good": [0.1, 0.2, 0.3],
            "scheme": "cross",
            "defects": {"spot": [0.4, 0.9]},
            "sizes": {"spot": [None, 12.0]},
            "accept": 0.5,
            "reject": "inf",
            "pixel": 0.4,
            "goal": {"escapes": 0.01},
        },
    }


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("run.json", "{", "run.json is damaged"),
        ("run.json", '{"settings": []}', "run.json: settings: [] will not do, wanted is a table"),
        ("run.json", '{"settings": {}}', "run.json: settings.method: this key is needed"),
        ("results.jsonl", "{\n", "line 1 is damaged"),
        ("results.jsonl", "{}\n", "line 1 is damaged"),
        ("unreadable.jsonl", "[]\n", "line 1 is damaged"),
    ],
)
def test_a_folder_that_holds_no_whole_run_is_refused(parts: Path, name: str, text: str, reason: str) -> None:
    inspect(parts)
    (parts / "out" / name).write_text(text, encoding="utf-8")
    result = run("report", parts / "out")
    assert result.exit_code == 1
    assert reason in result.stderr
    assert not (parts / "out" / "report.html").exists()


def test_a_run_that_was_stopped_is_shown_as_far_as_it_came(parts: Path) -> None:
    inspect(parts)
    results = parts / "out" / "results.jsonl"
    results.write_text(results.read_text(encoding="utf-8")[:-20], encoding="utf-8")
    assert page_of(parts / "out", parts / "page.html") == 3
    assert len(Page(parts / "page.html").items) == 3


def test_hostile_file_names_are_inspected_and_shown(parts: Path) -> None:
    name = "<img src=x onerror=alert(1)>&quot;.png"
    picture(parts / "new" / name, seed=9)
    assert inspect(parts, "--report", parts / "page.html").exit_code == 0
    page = Page(parts / "page.html")
    assert any(item["path"].endswith(name) for item in page.items)
    assert not [tag for tag, attributes in page.tags if tag == "img" or "onerror" in attributes]
