from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import Result
from tests.cli.test_inspect import lines, run
from tests.support.parts import frozen, good, mask, part, spots

from blemish.recipes.recipe import load, save


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """A recipe that four parts taught, and others that did not."""
    save(frozen("patchcore", good(tmp_path / "taught", 4)), tmp_path / "a.blemish")
    good(tmp_path / "good", 8, first=20)
    spots(tmp_path / "bad" / "spot", 2)
    part(tmp_path / "bad" / "dent" / "dent.png", 70, spot=(30, 6))
    mask(tmp_path / "masks" / "spot0_mask.png", (8, 44))
    mask(tmp_path / "masks" / "spot1.png", (16, 36))
    mask(tmp_path / "masks" / "dent.png", (30, 6))
    return tmp_path


def calibrate(parts: Path, *options: object) -> Result:
    return run("calibrate", parts / "a.blemish", *options)


def judged(parts: Path, pictures: str, out: str) -> tuple[int, dict[str, tuple[float, str]]]:
    """Exit status, and score and verdict of each picture."""
    result = run("inspect", parts / pictures, "--recipe", parts / "a.blemish", "--out", parts / out)
    found = lines(parts / out / "results.jsonl")
    return result.exit_code, {Path(line["path"]).stem: (line["score"], line["verdict"]) for line in found}


def test_a_calibrated_recipe_judges(parts: Path) -> None:
    before = load(parts / "a.blemish")
    result = calibrate(parts, "--good", parts / "good", "--defects", parts / "bad", "--masks", parts / "masks")
    assert result.exit_code == 0, result.output
    assert load(parts / "a.blemish").parent == before.hash
    for text in ("of good parts are rejected", "if they are like the 8 shown", "accept below", "spot", "px"):
        assert text in result.stdout
    status, found = judged(parts, "good", "one")
    assert (status, {verdict for _, verdict in found.values()}) == (0, {"accept"})
    status, found = judged(parts, "bad", "other")
    assert (status, {verdict for _, verdict in found.values()}) == (11, {"reject"})


def test_what_cannot_be_promised_is_for_review(parts: Path) -> None:
    options = ["--good", parts / "good", "--defects", parts / "bad", "--false-reject", 0.01, "--escape", 0.01]
    result = calibrate(parts, *options)
    assert result.exit_code == 0, result.output
    assert "needed: 291 more good parts" in result.stdout
    assert "needed: 296 more defective parts" in result.stdout
    assert "No part is rejected" in result.stdout
    status, found = judged(parts, "bad", "one")
    assert (status, {verdict for _, verdict in found.values()}) == (10, {"review"})


def test_another_goal_needs_no_picture_and_changes_no_score(parts: Path) -> None:
    assert calibrate(parts, "--good", parts / "good").exit_code == 0
    first, (_, before) = load(parts / "a.blemish"), judged(parts, "good", "one")
    result = calibrate(parts, "--false-reject", 0.6, "--out", parts / "b.blemish")
    assert result.exit_code == 0, result.output
    assert load(parts / "a.blemish").hash == first.hash
    second = load(parts / "b.blemish")
    assert first.calibration
    assert second.calibration
    assert second.parent == first.hash
    assert second.calibration.good == first.calibration.good
    assert second.calibration.reject < first.calibration.reject
    shutil.move(parts / "b.blemish", parts / "a.blemish")
    _, after = judged(parts, "good", "two")
    assert {name: score for name, (score, _) in after.items()} == {name: score for name, (score, _) in before.items()}
    assert {verdict for _, verdict in after.values()} == {"accept", "reject"}


def test_labels_of_defects_change_no_verdict(parts: Path) -> None:
    first, found = (parts / "a.blemish").read_bytes(), []
    for turn in range(2):
        (parts / "a.blemish").write_bytes(first)
        result = calibrate(parts, "--good", parts / "good", "--defects", parts / "bad", "--cost-ratio", 5)
        assert result.exit_code == 0, result.output
        found.append([judged(parts, pictures, f"{pictures}{turn}")[1] for pictures in ("good", "bad")])
        if turn == 0:
            (parts / "bad" / "spot" / "spot0.png").rename(parts / "bad" / "dent" / "spot0.png")
            (parts / "bad" / "dent" / "dent.png").rename(parts / "bad" / "spot" / "dent.png")
    assert found[0] == found[1]


def test_taught_pictures_are_not_used_and_copies_count_once(parts: Path) -> None:
    shutil.copy(parts / "good" / "good20.png", parts / "good" / "copy.png")
    (parts / "good" / "broken.png").write_bytes(b"no picture")
    result = calibrate(parts, "--good", parts / "good", "--good", parts / "taught", "--json")
    assert result.exit_code == 3
    told = json.loads(result.stdout)
    assert len(told["calibration"]["good"]) == 8
    assert {Path(path).name for path in told["unused"]} == {f"good{number}.png" for number in range(4)}
    (once,) = [each["pictures"] for each in told["parts"] if len(each["pictures"]) > 1]
    assert {Path(path).name for path in once} == {"copy.png", "good20.png"}
    assert told["recipe"] == load(parts / "a.blemish").hash
    first = ", ".join(str(parts / "taught" / f"good{number}.png") for number in range(2))
    assert f"left out: 4 pictures of parts that taught the recipe ({first}" in result.stderr
    assert "broken.png" in result.stderr


def test_a_recipe_is_calibrated_by_what_taught_it(parts: Path) -> None:
    result = calibrate(parts, "--good", parts / "taught", "--defects", parts / "bad", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["calibration"]["scheme"], told["calibration"]["fold"]) == ("cross", 1)
    assert told["false_rejects"]["average"] == pytest.approx(1 / 5)
    assert told["statement"][0].startswith("On average over thresholds set like this one, at most 20 %")
    status, found = judged(parts, "taught", "one")
    assert (status, {verdict for _, verdict in found.values()}) == (0, {"accept"})
    told = json.loads(calibrate(parts, "--escape", 0.3, "--json").stdout)
    assert (told["missing"], told["missing_by_type"]) == ({"defective": 6}, {"dent": 8, "spot": 7})
    folded = calibrate(parts, "--good", parts / "taught", "--folds", 2, "--seed", 3)
    assert folded.exit_code == 0, folded.output
    assert "at most 34 % of good parts" in folded.stdout


def test_copies_are_named(parts: Path) -> None:
    shutil.copy(parts / "good" / "good20.png", parts / "good" / "copy.png")
    result = calibrate(parts, "--good", parts / "good")
    assert result.exit_code == 0, result.output
    (row,) = [line for line in result.stdout.splitlines() if "copy.png" in line]
    assert "good20.png" in row


def test_a_missing_mask_is_said(parts: Path) -> None:
    (parts / "masks" / "dent.png").unlink()
    result = calibrate(parts, "--good", parts / "good", "--defects", parts / "bad", "--masks", parts / "masks")
    assert result.exit_code == 0, result.output
    assert "no mask for dent.png" in result.stderr


@pytest.mark.parametrize(
    ("options", "status", "reason"),
    [
        (["--false-reject", "0.02"], 1, "is not calibrated: give good parts"),
        ([], 2, "say --good"),
        (["--defects", "{bad}"], 2, "go with --good"),
        (["--good", "{good}", "--masks", "{masks}"], 2, "--masks goes with --defects"),
        (["--good", "{taught}", "--scheme", "split"], 1, "those given taught the recipe"),
        (["--good", "{good}", "--scheme", "cross"], 1, "cannot be left out"),
        (["--good", "{taught}", "--folds", "9"], 1, "cannot be left out in 9 folds"),
        (["--good", "{good}", "--scheme", "split", "--folds", "2"], 2, "--folds goes with --scheme cross"),
        (["--scheme", "cross", "--escape", "0.1"], 2, "go with --good"),
        (["--good", "{good}", "--escape", "0.1"], 1, "needs defective parts"),
        (["--good", "{good}", "--false-reject", "2"], 1, "2.0"),
        (["--good", "{good}", "--defects", "{good}"], 1, "given as good and as defective"),
        (["--good", "{good}", "--out", "{a}"], 1, "exists: name another file"),
        (["--good", "{good}", "--encoder", "gone.safetensors"], 1, "gone.safetensors"),
    ],
)
def test_what_cannot_be_calibrated_is_said_in_one_line(
    parts: Path, options: list[str], status: int, reason: str
) -> None:
    names = {name: parts / name for name in ("bad", "good", "masks", "taught")}
    before = (parts / "a.blemish").read_bytes()
    result = calibrate(parts, *[option.format(a=parts / "a.blemish", **names) for option in options])
    assert result.exit_code == status, result.output
    assert reason in result.stderr
    assert "Traceback" not in result.output
    assert (parts / "a.blemish").read_bytes() == before
