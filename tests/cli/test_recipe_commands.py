from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from click.testing import Result
from tests.cli.test_inspect import lines, run
from tests.support.pages import Page
from tests.support.parts import good, mask, part, spots

from blemish.blocks.defect_regions import regions
from blemish.calibration.thresholds import Calibration, calibrate_thresholds
from blemish.recipes import file as recipe_file
from blemish.recipes.recipe import load, save
from blemish.runs import decision

QUICK = ["--encoder", "test-tiny", "--method", "patchcore", "--set", "ratio=0.5", "--set", "width=24"]


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """Folders of parts, and a recipe that has learned from five."""
    good(tmp_path / "good", 5)
    good(tmp_path / "more", 2, first=20)
    spots(tmp_path / "bad", 2)
    for at in range(2):
        mask(tmp_path / "masks" / f"spot{at}_mask.png", (8 + 8 * at, 44 - 8 * at))
    good(tmp_path / "new", 3, first=40)
    part(tmp_path / "new" / "spot.png", 60, spot=(40, 8))
    result = freeze(tmp_path)
    assert result.exit_code == 0, result.output
    return tmp_path


def freeze(parts: Path, *more: object) -> Result:
    return run("recipe", "freeze", parts / "a.blemish", "--normal", parts / "good", *QUICK, *more)


def inspect(parts: Path, *more: object) -> Result:
    return run("inspect", parts / "new", "--recipe", parts / "a.blemish", "--out", parts / "out", *more)


def teach(parts: Path, *more: object) -> Result:
    return run("teach", parts / "a.blemish", *more)


def calibrate(path: Path, accept: float, reject: float, pixel: float | None = None) -> Calibration:
    """Thresholds set by hand."""
    found = dataclasses.replace(calibrate_thresholds([1.0], scheme="split"), accept=accept, reject=reject, pixel=pixel)
    save(dataclasses.replace(load(path), calibration=found), path)
    return found


def scores(parts: Path) -> dict[str, float]:
    run("inspect", parts / "new", "--recipe", parts / "a.blemish", "--out", parts / "scores")
    return {Path(line["path"]).stem: line["score"] for line in lines(parts / "scores" / "results.jsonl")}


def test_a_frozen_recipe_scores_as_the_same_options_do(parts: Path) -> None:
    by_recipe = inspect(parts)
    assert by_recipe.exit_code == 0, by_recipe.output
    assert "not calibrated" in by_recipe.stderr
    arguments = ["--normal", parts / "good", "--out", parts / "plain", *QUICK]
    assert run("inspect", parts / "new", *arguments).exit_code == 0
    found, expected = (lines(parts / name / "results.jsonl") for name in ("out", "plain"))
    assert [line["score"] for line in found] == pytest.approx([line["score"] for line in expected], rel=1e-4)
    assert not set(found[0]) & {"verdict", "recipe", "regions"}


def test_a_calibrated_recipe_adds_verdict_recipe_and_regions(parts: Path) -> None:
    found = scores(parts)
    fine = max(score for name, score in found.items() if name != "spot")
    calibrate(parts / "a.blemish", fine * 1.01, fine * 1.01, pixel=fine * 1.01)
    result = inspect(parts, "--scale", 0.5)
    assert result.exit_code == 11, result.output
    by_name = {Path(line["path"]).stem: line for line in lines(parts / "out" / "results.jsonl")}
    assert by_name["spot"]["verdict"] == "reject"
    assert {line["verdict"] for name, line in by_name.items() if name != "spot"} == {"accept"}
    assert {line["recipe"] for line in by_name.values()} == {load(parts / "a.blemish").hash}
    region = by_name["spot"]["regions"][0]
    assert set(region) == {"box", "area", "area_mm2", "length", "length_mm", "score", "mean", "contour", "type"}
    assert region["area_mm2"] == region["area"] / 4
    assert region["type"] is None
    assert 32 <= region["box"]["x"] + region["box"]["width"] / 2 <= 60
    assert by_name["good40"]["regions"] == []
    assert "3 accept, 0 review, 1 reject" in result.stdout
    (row,) = [line for line in result.stdout.splitlines() if "spot.png" in line]
    assert "reject" in row


def test_a_region_has_the_type_of_the_defect_that_was_shown(parts: Path) -> None:
    assert teach(parts, "--defect", "spot", parts / "bad", "--masks", parts / "masks").exit_code == 0
    found = scores(parts)
    pixel = max(score for name, score in found.items() if name != "spot") * 1.01
    calibrate(parts / "a.blemish", pixel, pixel, pixel=pixel)
    assert inspect(parts).exit_code == 11
    (line,) = [each for each in lines(parts / "out" / "results.jsonl") if each["path"].endswith("spot.png")]
    assert line["regions"][0]["type"] == "spot"
    assert line["regions"][0]["area_mm2"] is None


def test_the_page_of_a_run_says_by_which_recipe_it_was_decided(parts: Path) -> None:
    assert teach(parts, "--defect", "spot", parts / "bad", "--masks", parts / "masks").exit_code == 0
    plain = inspect(parts, "--out", parts / "plain", "--report", parts / "plain.html")
    assert plain.exit_code == 0, plain.output
    uncalibrated = Page(parts / "plain.html").about
    assert uncalibrated["recipe"]["hash"] == load(parts / "a.blemish").hash
    assert "not calibrated" in uncalibrated["note"]
    assert uncalibrated["calibration"] is None

    pixel = max(score for name, score in scores(parts).items() if name != "spot") * 1.01
    calibrate(parts / "a.blemish", pixel, pixel * 1.001, pixel=pixel)
    result = inspect(parts, "--report", parts / "page.html")
    assert result.exit_code == 11, result.output
    assert f"report: {parts / 'page.html'}" in result.stdout
    used, page = load(parts / "a.blemish"), Page(parts / "page.html")
    assert used.calibration
    identity = {"hash": used.hash, "parent": used.parent, "created": used.created, "versions": dict(used.versions)}
    assert page.about["recipe"] == identity | {"types_of_defects": ["spot"], "named_by": "ridge"}
    assert page.about["start"] == {"accept": pixel, "reject": pixel * 1.001, "origin": "calibration"}
    assert page.about["calibration"] == used.calibration.as_json()
    assert page.about["taught"] == [{"name": each.name, "kind": each.kind, "id": each.id} for each in used.taught]
    assert page.about["title"] == "a"
    worst = page.items[0]
    assert (Path(worst["path"]).stem, worst["verdict"], worst["type"]) == ("spot", "reject", "spot")


def test_a_finished_run_is_shown_with_the_recipe_that_made_it_and_with_no_other(parts: Path) -> None:
    calibrate(parts / "a.blemish", 0.0, 1e9)
    assert inspect(parts).exit_code == 10
    shown = run("report", parts / "out", "--recipe", parts / "a.blemish", "--out", parts / "page.html")
    assert shown.exit_code == 0, shown.output
    about = Page(parts / "page.html").about
    assert about["start"] == {"accept": 0.0, "reject": 1e9, "origin": "calibration"}
    assert len(about["taught"]) == 5
    calibrate(parts / "a.blemish", 0.0, 1.0)
    refused = run("report", parts / "out", "--recipe", parts / "a.blemish")
    assert refused.exit_code == 1
    assert "not made by this recipe" in refused.stderr


def test_a_page_and_a_record_have_one_judgement(parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calibrate(parts / "a.blemish", 0.0, 0.0, pixel=0.0)
    counted = Mock(wraps=regions)
    monkeypatch.setattr(decision, "regions", counted)
    assert inspect(parts, "--report", parts / "page.html").exit_code == 11
    assert counted.call_count == 4


def test_a_resumed_run_by_a_recipe_shows_the_earlier_verdicts(parts: Path) -> None:
    calibrate(parts / "a.blemish", 0.0, 0.0)
    assert inspect(parts).exit_code == 11
    results = parts / "out" / "results.jsonl"
    results.write_text("".join(results.read_text(encoding="utf-8").splitlines(keepends=True)[:2]), encoding="utf-8")
    assert inspect(parts, "--resume", "--report", parts / "page.html").exit_code == 11
    assert [item["verdict"] for item in Page(parts / "page.html").items] == ["reject"] * 4


@pytest.mark.parametrize(
    ("thresholds", "broken", "status"),
    [
        ((1e9, 1e9), False, 0),
        ((0.0, 1e9), False, 10),
        ((0.0, 0.0), False, 11),
        ((1e9, 1e9), True, 3),
        ((0.0, 1e9), True, 3),
        ((0.0, 0.0), True, 11),
    ],
)
def test_the_exit_status_tells_what_asks_for_most(
    parts: Path, thresholds: tuple[float, float], broken: bool, status: int
) -> None:
    calibrate(parts / "a.blemish", *thresholds)
    if broken:
        (parts / "new" / "broken.png").write_bytes(b"no picture")
    assert inspect(parts).exit_code == status


def test_a_resumed_run_ends_with_the_status_of_the_whole(parts: Path) -> None:
    found = scores(parts)
    calibrate(parts / "a.blemish", 0.0, found["spot"])
    assert inspect(parts).exit_code == 11
    results = parts / "out" / "results.jsonl"
    text = results.read_text().splitlines(keepends=True)
    results.write_text("".join(text[1:]))
    again = inspect(parts, "--resume")
    assert again.exit_code == 11
    assert "0 accept, 3 review, 1 reject" in again.stdout
    calibrate(parts / "a.blemish", 0.0, 1e9)
    assert "another recipe" in inspect(parts, "--resume").stderr


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--normal", "good"], "--normal"),
        (["--method", "winclip"], "--method"),
        (["--product", "nut"], "--product"),
        (["--set", "ratio=1"], "--set"),
        (["--region", "0", "0", "9", "9"], "--region"),
        (["--mask", "a.png"], "--mask"),
        (["--tile", "32"], "--tile"),
        (["--precision", "float32"], "--precision"),
    ],
)
def test_what_a_recipe_has_decided_cannot_be_said_again(parts: Path, options: list[str], named: str) -> None:
    result = inspect(parts, *options)
    assert result.exit_code == 2
    assert f"has its own {named}" in result.stderr


def test_a_scale_needs_regions_which_words_alone_do_not_mark(parts: Path) -> None:
    result = run("inspect", parts / "new", "--scale", 0.1, "--encoder", "test-tiny")
    assert result.exit_code == 2
    assert "words alone mark none: show good parts by --normal" in result.stderr


def test_another_encoder_and_a_damaged_recipe_are_refused_in_one_line(parts: Path) -> None:
    result = inspect(parts, "--encoder", parts / "gone.safetensors")
    assert result.exit_code == 1
    assert "gone.safetensors" in result.stderr
    (parts / "a.blemish").write_bytes((parts / "a.blemish").read_bytes()[:-1])
    result = inspect(parts)
    assert result.exit_code == 1
    assert "truncated" in result.stderr
    assert "Traceback" not in result.output


def test_show_says_what_is_in_it(parts: Path) -> None:
    result = run("recipe", "show", parts / "a.blemish")
    assert result.exit_code == 0, result.output
    found = load(parts / "a.blemish")
    for text in (found.hash, "patchcore", "test-tiny", "good 5", found.taught[0].id, "good4.png"):
        assert text in result.stdout
    told = json.loads(run("recipe", "show", parts / "a.blemish", "--json").stdout)
    assert told["hash"] == found.hash
    assert told["arguments"] == {"ratio": 0.5, "width": 24}


def test_diff_says_what_changed_and_tells_by_its_status(parts: Path) -> None:
    path = parts / "a.blemish"
    assert run("recipe", "diff", path, path).exit_code == 0
    assert teach(parts, "--good", parts / "more", "--out", parts / "b.blemish").exit_code == 0
    result = run("recipe", "diff", path, parts / "b.blemish")
    assert result.exit_code == 1
    assert "good20.png" in result.stdout
    rows = json.loads(run("recipe", "diff", path, parts / "b.blemish", "--json").stdout)
    assert {row[0] for row in rows} >= {"hash", "parent", "tensor detector.bank.rows"}


def test_recipes_that_only_were_made_at_another_time_do_not_differ(parts: Path) -> None:
    again = run("recipe", "freeze", parts / "again.blemish", "--normal", parts / "good", *QUICK)
    assert again.exit_code == 0, again.output
    result = run("recipe", "diff", parts / "a.blemish", parts / "again.blemish")
    assert (result.exit_code, result.stdout) == (0, "")


def test_freezing_does_not_overwrite(parts: Path) -> None:
    result = freeze(parts)
    assert result.exit_code == 1
    assert "exists: name another file" in result.stderr


def test_freezing_takes_the_view_and_a_budget(parts: Path) -> None:
    options = ["--region", 2, 2, 60, 60, "--tile", 32, "--budget", 0.02, "--normal", parts / "good", *QUICK]
    result = run("recipe", "freeze", parts / "b.blemish", *options)
    assert result.exit_code == 0, result.output
    found = load(parts / "b.blemish")
    assert (tuple(found.view.region or ()), found.view.tile, found.view.overlap) == ((2, 2, 60, 60), 32, 8)
    assert found.tensors["detector.bank.rows"].numel() * 4 <= 0.02 * 2**20
    assert inspect_with(parts, "b.blemish").exit_code == 0


def inspect_with(parts: Path, name: str) -> Result:
    return run("inspect", parts / "new", "--recipe", parts / name, "--out", parts / "other")


def test_words_alone_can_be_frozen(parts: Path) -> None:
    options = ["--product", "cap", "--encoder", "test-tiny", "--method", "tab", "--set", 'defects=["dent"]']
    assert run("recipe", "freeze", parts / "w.blemish", *options).exit_code == 0
    assert load(parts / "w.blemish").arguments == {"product": "cap", "defects": ["dent"]}
    assert inspect_with(parts, "w.blemish").exit_code == 0


def test_a_product_is_for_methods_that_read_words(parts: Path) -> None:
    result = run("recipe", "freeze", parts / "b.blemish", "--normal", parts / "good", "--product", "cap", *QUICK)
    assert result.exit_code == 1
    assert "patchcore takes no product: leave out --product" in result.stderr


def test_an_unreadable_good_part_is_listed_and_the_rest_frozen(parts: Path) -> None:
    (parts / "good" / "broken.png").write_bytes(b"no picture")
    result = run("recipe", "freeze", parts / "b.blemish", "--normal", parts / "good", *QUICK)
    assert result.exit_code == 3
    assert "broken.png" in result.stderr
    assert len(load(parts / "b.blemish").taught) == 5


def test_teaching_forgetting_and_undoing_lead_back(parts: Path) -> None:
    path = parts / "a.blemish"
    first, before = path.read_bytes(), scores(parts)
    result = teach(parts, "--good", parts / "more")
    assert result.exit_code == 0, result.output
    assert "good20.png" in result.stdout
    second = path.read_bytes()
    assert teach(parts, "--defect", "spot", parts / "bad", "--masks", parts / "masks").exit_code == 0
    kinds = {each.name: each for each in load(path).taught}
    assert kinds["spot1.png"].kind == "spot"
    ids = [each.id for name, each in kinds.items() if name.startswith(("spot", "good2"))]
    forgotten = teach(parts, *[word for each in ids for word in ("--forget", each)])
    assert forgotten.exit_code == 0, forgotten.output
    (parts / "scores" / "results.jsonl").unlink()
    assert scores(parts) == before
    for expected in (None, second, first):
        assert teach(parts, "--undo").exit_code == 0
        assert expected is None or path.read_bytes() == expected
    assert "nothing to undo" in teach(parts, "--undo").stderr


def test_another_file_is_written_with_the_history_to_undo_it(parts: Path) -> None:
    path, other = parts / "a.blemish", parts / "b.blemish"
    assert teach(parts, "--good", parts / "more").exit_code == 0
    before = path.read_bytes()
    assert teach(parts, "--defect", "spot", parts / "bad", "--out", other).exit_code == 0
    assert path.read_bytes() == before
    assert run("teach", other, "--undo").exit_code == 0
    assert other.read_bytes() == before
    assert run("teach", other, "--undo").exit_code == 0
    assert len(load(other).taught) == 5
    assert len(list(recipe_file.history(other).iterdir())) == 3


def test_a_calibration_that_no_longer_holds_is_left_out_and_said(parts: Path) -> None:
    calibrate(parts / "a.blemish", 1.0, 2.0)
    result = teach(parts, "--good", parts / "more")
    assert "no longer holds" in result.stderr
    assert load(parts / "a.blemish").calibration is None


def test_masks_among_the_pictures_are_no_pictures_and_missing_ones_are_said(parts: Path) -> None:
    (parts / "masks").rename(parts / "bad" / "masks")
    (parts / "bad" / "masks" / "spot1_mask.png").unlink()
    result = teach(parts, "--defect", "spot", parts / "bad", "--masks", parts / "bad" / "masks")
    assert result.exit_code == 0, result.output
    assert "no mask for spot1.png" in result.stderr
    assert sum(each.kind == "spot" for each in load(parts / "a.blemish").taught) == 2


@pytest.mark.parametrize(
    ("options", "status", "reason"),
    [
        ([], 2, "say one of --good, --defect, --examples, --defects, --product, --vocabulary, --forget and --undo"),
        (["--undo", "--forget", "abc"], 2, "say one of"),
        (["--good", "{more}", "--masks", "{masks}"], 2, "--masks goes with --defect"),
        (["--undo", "--budget", "3"], 2, "--budget with --good"),
        (["--forget", "0123456789ab"], 1, "no picture with the id 0123456789ab"),
        (["--good", "{good}"], 1, "nothing new to teach"),
        (["--good", "{more}", "--out", "{a}"], 1, "exists: name another file"),
        (["--defect", "good", "{bad}"], 1, "no type of defect"),
    ],
)
def test_what_cannot_be_taught_is_said_in_one_line(parts: Path, options: list[str], status: int, reason: str) -> None:
    names: dict[str, Any] = {name: parts / name for name in ("more", "masks", "good", "bad")}
    before = (parts / "a.blemish").read_bytes()
    result = teach(parts, *[option.format(a=parts / "a.blemish", **names) for option in options])
    assert result.exit_code == status
    assert reason in result.stderr
    assert "Traceback" not in result.output
    assert (parts / "a.blemish").read_bytes() == before
