"""The threshold that good parts suggest before anything is calibrated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.cli.test_inspect import QUICK, inspect, lines, parts, picture, run
from tests.support.pages import Page
from tests.support.parts import LEARNERS, TEST, same
from tests.support.quick import QUICK as ARGUMENTS

from blemish.fitting import fit_detector, make_detector
from blemish.images import find
from blemish.recipes import suggestion
from blemish.recipes.reading import Reading
from blemish.recipes.suggestion import fit_and_suggest

__all__ = ["parts"]


def loaded(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_good_parts_suggest_a_threshold_that_decides_nothing(parts: Path) -> None:
    result = inspect(parts, "--report", parts / "page.html", "--scale", 0.5)
    assert result.exit_code == 0, result.output
    found = lines(parts / "out" / "results.jsonl")
    (threshold,) = {line["suggested"]["threshold"] for line in found}
    for line in found:
        assert line["suggested"]["verdict"] == ("reject" if line["score"] >= threshold else "accept")
        assert "verdict" not in line
        pixel, places = line["suggested"]["pixel"], line["suggested"]["regions"]
        assert all(each["score"] >= pixel and each["area_mm2"] == each["area"] / 4 for each in places)
    assert found[-1]["suggested"]["verdict"] == "reject"
    assert found[-1]["suggested"]["regions"]
    assert "suggested" in result.stdout
    assert " reject, as suggested" in result.stdout
    assert "suggested from 4 different good parts, not a calibration" in result.stderr
    assert "at most 20 % of good parts are rejected" in result.stderr
    assert "Nothing is promised about escapes" in result.stderr
    summary = loaded(parts / "out" / "summary.json")
    assert summary["verdicts"] == {}
    assert summary["suggested"]["pixel"] == found[0]["suggested"]["pixel"]
    assert (summary["suggested"]["threshold"], summary["suggested"]["parts"]) == (threshold, 4)
    assert sum(summary["suggested"]["verdicts"].values()) == 4
    assert summary["suggested"]["statement"] in result.stderr


def test_a_page_starts_at_the_suggested_threshold(parts: Path) -> None:
    inspect(parts, "--report", parts / "page.html")
    threshold = loaded(parts / "out" / "summary.json")["suggested"]["threshold"]
    expected = {"accept": threshold, "reject": threshold, "origin": "suggestion"}
    about = Page(parts / "page.html").about
    assert about["start"] == expected
    assert about["calibration"] is None
    assert "not a calibration" in about["note"]
    assert run("report", parts / "out", "--out", parts / "later.html").exit_code == 0
    later = Page(parts / "later.html").about
    assert later["start"] == expected
    assert "not a calibration" in later["note"]


def test_a_resumed_run_goes_on_with_its_threshold(parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inspect(parts)
    results = parts / "out" / "results.jsonl"
    whole = lines(results)
    results.write_text("".join(results.read_text(encoding="utf-8").splitlines(keepends=True)[:2]), encoding="utf-8")
    monkeypatch.setattr(suggestion, "draw_folds", lambda *_, **__: pytest.fail("it suggested again"))
    result = inspect(parts, "--resume", "--report", parts / "page.html")
    assert result.exit_code == 0, result.output
    assert [(line["path"], line["suggested"]) for line in lines(results)] == [
        (line["path"], line["suggested"]) for line in whole
    ]
    assert Page(parts / "page.html").about["start"]["origin"] == "suggestion"
    assert sum(loaded(parts / "out" / "summary.json")["suggested"]["verdicts"].values()) == 4


def test_a_damaged_threshold_is_no_run_to_go_on_with(parts: Path) -> None:
    inspect(parts)
    settings = loaded(parts / "out" / "run.json")
    settings["suggested"]["reject"] = "high"
    (parts / "out" / "run.json").write_text(json.dumps(settings), encoding="utf-8")
    result = inspect(parts, "--resume")
    assert result.exit_code == 1
    assert "wanted is a calibration or null: name another --out" in result.stderr


@pytest.mark.parametrize("copies", [0, 2])
def test_from_one_part_nothing_is_suggested_and_it_is_said(parts: Path, copies: int) -> None:
    only = picture(parts / "one" / "0.png")
    for number in range(copies):
        (parts / "one" / f"copy{number}.png").write_bytes(only.read_bytes())
    result = run("inspect", parts / "new", "--normal", parts / "one", "--out", parts / "out", *QUICK)
    assert result.exit_code == 0, result.output
    assert "no threshold can be suggested from a single good part" in result.stderr
    assert not [line for line in lines(parts / "out" / "results.jsonl") if "suggested" in line]
    assert loaded(parts / "out" / "summary.json")["suggested"] is None


def test_words_alone_and_recipes_suggest_nothing(parts: Path) -> None:
    words = ["--encoder", "test-tiny", "--method", "winclip"]
    assert run("inspect", parts / "new", "--out", parts / "words", *words).exit_code == 0
    recipe = parts / "a.blemish"
    assert run("recipe", "freeze", recipe, "--normal", parts / "good", *QUICK).exit_code == 0
    assert run("inspect", parts / "new", "--recipe", recipe, "--out", parts / "frozen").exit_code == 0
    for out in ("words", "frozen"):
        assert loaded(parts / out / "summary.json")["suggested"] is None
        assert not [line for line in lines(parts / out / "results.jsonl") if "suggested" in line]


@pytest.mark.parametrize("method", LEARNERS)
@pytest.mark.parametrize("most", [64, 3])
def test_every_learner_suggests_and_has_learned_all(
    method: str, most: int, parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The detector then is what `fit` makes of it."""
    monkeypatch.setattr(suggestion, "MOST", most)
    (parts / "good" / "broken.png").write_bytes(b"no picture")
    good, refused = find([parts / "good"]), list[Any]()
    learner: Any = make_detector(method, "test-tiny", good=True, arguments=ARGUMENTS[method])
    found = fit_and_suggest(learner, good, reading=Reading(unreadable=refused))
    assert found is not None
    assert 2 <= len(found.good) <= 4
    assert found.reject > max(found.good)
    assert found.pixel is not None
    assert found.pixel > max(found.peaks)
    assert [Path(each.id).name for each in refused] == ["broken.png"]
    fitted = fit_detector(method, "test-tiny", good=find([*good[:4]]), arguments=ARGUMENTS[method])
    with torch.inference_mode():
        assert same(learner(TEST), fitted(TEST))


def test_each_part_is_scored_as_if_it_were_unknown(parts: Path) -> None:
    """A part that the detector knows would score 0 to a memory of all its patches."""
    arguments = {"ratio": 1.0, "neighbours": 1, "image_size": 64}
    learner: Any = make_detector("patchcore", "test-tiny", good=True, arguments=arguments)
    found = fit_and_suggest(learner, find([parts / "good"]))
    assert found is not None
    assert found.fold == 1
    assert min(found.good) > 1e-3
