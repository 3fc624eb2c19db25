"""`blemish evaluate --recipe`, and what `blemish inspect --recipe` says of drift and time."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import Result
from tests.cli.test_inspect import lines, run
from tests.support.pages import Page
from tests.support.parts import frozen, good, mask, part, spots

from blemish.recipes.recipe import load, save

QUICK = ["--encoder", "test-tiny", "--method", "patchcore", "--set", "ratio=0.5", "--set", "width=24"]


@pytest.fixture(scope="module")
def caps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set, and a recipe that was calibrated by other good ones."""
    folder = tmp_path_factory.mktemp("caps")
    good(folder / "caps" / "train" / "good", 4)
    good(folder / "caps" / "test" / "good", 6, first=50)
    spots(folder / "caps" / "test" / "spot", 3)
    part(folder / "caps" / "test" / "stain" / "0.png", 70, spot=(40, 8))
    mask(folder / "caps" / "ground_truth" / "stain" / "0_mask.png", (40, 8))
    for at in range(3):
        mask(folder / "caps" / "ground_truth" / "spot" / f"spot{at}_mask.png", (8 + 8 * at, 44 - 8 * at))
    good(folder / "held", 20, first=100)
    assert run("recipe", "freeze", folder / "a.blemish", "--normal", folder / "caps/train/good", *QUICK).exit_code == 0
    done = run("calibrate", folder / "a.blemish", "--good", folder / "held", "--every-picture")
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def root(caps: Path, tmp_path: Path) -> Path:
    shutil.copytree(caps, tmp_path, dirs_exist_ok=True)
    return tmp_path


def evaluate(root: Path, *more: object) -> Result:
    return run("evaluate", root / "caps", "--layout", "mvtec", "--recipe", root / "a.blemish", *more)


def test_a_recipes_verdicts_are_counted_by_type_and_size(root: Path) -> None:
    result = evaluate(root, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert list(found["verdicts"]) == ["good", "defective", "spot", "stain"]
    assert [found["verdicts"][kind]["rejected"]["total"] for kind in found["verdicts"]] == [6, 4, 3, 1]
    assert found["verdicts"]["defective"]["rejected"]["cases"] == 4
    assert found["image_auroc"]["value"] == 1.0
    for counted in found["verdicts"].values():
        assert (
            sum(counted[name]["cases"] for name in ("accepted", "reviewed", "rejected")) == counted["accepted"]["total"]
        )
    assert sum(each["accepted"]["total"] for each in found["sizes"].values()) == 4
    assert found["overkill_at_escape"]["0.01"]["value"] == 0.0
    assert found["escape_at_overkill"]["0.1"]["high"] > 0
    assert found["seconds_percentiles"]["0.5"]["value"] > 0
    assert found["recipe"] == load(root / "a.blemish").hash
    assert found["learned"] == []


def test_people_get_tables_and_a_page(root: Path) -> None:
    result = evaluate(root, "--report", root / "page.html")
    assert result.exit_code == 0, result.output
    for text in ("for review", "defective", "defects that may escape", "are done within", "image_auroc"):
        assert text in result.stdout
    assert "at least" in result.stdout  # so few pictures bound no percentile of their times
    assert "inf" not in result.stdout
    page = Page(root / "page.html")
    assert page.about["start"]["origin"] == "calibration"
    assert page.about["recipe"]["hash"] == load(root / "a.blemish").hash
    assert {item["label"] for item in page.items} == {"good", "spot", "stain"}
    assert page.items[0]["verdict"] == "reject"


def test_pictures_that_taught_the_recipe_do_not_count(root: Path) -> None:
    shutil.copy(root / "caps/train/good/good0.png", root / "caps/test/good/learned.png")
    result = evaluate(root, "--json")
    found = json.loads(result.stdout)
    assert found["n_normal"] == 6
    assert [Path(path).name for path in found["learned"]] == ["learned.png"]
    assert "1 picture of the test split taught the recipe" in result.stderr


def test_a_recipe_without_thresholds_is_measured_without_verdicts(root: Path) -> None:
    assert run("recipe", "freeze", root / "b.blemish", "--normal", root / "caps/train/good", *QUICK).exit_code == 0
    result = run("evaluate", root / "caps", "--recipe", root / "b.blemish", "--json")
    found = json.loads(result.stdout)
    assert (found["verdicts"], found["sizes"], found["review"]) == ({}, {}, None)
    assert found["image_auroc"]["value"] == 1.0


@pytest.mark.parametrize("option", [("--shots", 2), ("--method", "padim"), ("--product", "nut"), ("--seed", 3)])
def test_what_a_recipe_has_decided_cannot_be_given_again(option: tuple[str, object], root: Path) -> None:
    result = evaluate(root, *option)
    assert result.exit_code == 2
    assert f"--recipe has its own {option[0]}" in result.stderr


def inspected(root: Path, folder: str, *more: object) -> Result:
    return run("inspect", root / folder, "--recipe", root / "a.blemish", "--out", root / "out", "--no-overlays", *more)


def test_scores_that_are_no_longer_those_of_the_calibration_raise_an_alarm(root: Path) -> None:
    for number in range(60):
        part(root / "worn" / f"{number:02}.png", 300 + number, spot=(20, 40))
    result = inspected(root, "worn")
    assert result.exit_code == 11
    assert "drift: scores are not those of the calibration" in result.stderr
    assert "higher" in result.stderr
    summary = json.loads((root / "out" / "summary.json").read_text())
    assert summary["drift"]["alarm"] is True
    alarms = [line["drift"] for line in lines(root / "out" / "results.jsonl")]
    assert alarms == [number >= summary["drift"]["since"] for number in range(1, 61)]
    assert not alarms[0]


def test_good_parts_like_those_of_the_calibration_raise_none(root: Path) -> None:
    good(root / "later", 60, first=400)
    result = inspected(root, "later")
    assert "drift:" not in result.stderr
    summary = json.loads((root / "out" / "summary.json").read_text())
    assert summary["drift"] == {"alarm": False, "since": None, "change": None, "false_alarm": 0.01}
    assert summary["inspected"] == 60
    assert sum(summary["verdicts"].values()) == 60
    assert list(summary["seconds_percentiles"]) == ["0.5", "0.95", "0.99"]
    assert "time a picture: 50 % within" in result.stdout


def test_a_resumed_run_remembers_the_scores_it_has_seen(root: Path) -> None:
    for number in range(60):
        part(root / "worn" / f"{number:02}.png", 300 + number, spot=(20, 40))
    inspected(root, "worn")
    whole = (root / "out" / "results.jsonl").read_text()
    (root / "out" / "results.jsonl").write_text("".join(whole.splitlines(keepends=True)[:5]))
    result = inspected(root, "worn", "--resume")
    assert "drift: scores are not those of the calibration" in result.stderr
    found = lines(root / "out" / "results.jsonl")
    assert [line["drift"] for line in found] == [json.loads(line)["drift"] for line in whole.splitlines()]


def test_drift_needs_a_recipe(root: Path) -> None:
    result = run("inspect", root / "held", "--drift", 0.1, *QUICK)
    assert result.exit_code == 2
    assert "--drift goes with --recipe" in result.stderr


@pytest.fixture
def scaled(root: Path) -> Path:
    """A recipe of a method whose authors scale scores by the test set, with thresholds."""
    recipe = root / "scaled.blemish"
    save(frozen("aa-clip", []), recipe)
    assert run("calibrate", recipe, "--good", root / "held", "--every-picture").exit_code == 0
    return recipe


def test_the_published_protocol_is_labelled_wherever_its_numbers_stand(root: Path, scaled: Path) -> None:
    words = ("evaluate", root / "caps", "--layout", "mvtec", "--recipe", scaled, "--protocol", "published")
    printed = run(*words, "--report", root / "page.html")
    assert printed.exit_code == 0, printed.output
    assert "protocol published" in printed.stdout.splitlines()[0]
    assert printed.stderr.count("scores are scaled by the test set itself") == 1
    assert "for review" not in printed.stdout
    assert "defects that may escape" not in printed.stdout
    page = Page(root / "page.html")
    assert page.about["note"].startswith("as published: scores are scaled by the test set itself")
    assert page.about["settings"]["protocol"] == "published"
    assert page.about["calibration"] is None
    assert not [item for item in page.items if item.get("verdict")]
    found = json.loads(run(*words, "--json").stdout)
    assert found["protocol"] == "published"
    assert [note for note in found["notes"] if "scaled by the test set itself" in note]
    assert found["verdicts"] == {}
    assert found["recipe"] == load(scaled).hash
    alone = json.loads(run(*words[:-1], "standard", "--json").stdout)
    assert alone["protocol"] == "standard"
    assert alone["verdicts"]
    assert not [note for note in alone["notes"] if "scaled" in note]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--method", "patchcore"), "the authors of patchcore do not scale scores by the test set"),
        ((), "the authors of this method do not scale scores by the test set"),
        (("--method", "aa-clip"), "aa-clip is trained first"),
        (("--method", "nothing"), "no method 'nothing'"),
        (("--recipe", "a.blemish"), "the authors of patchcore do not scale scores by the test set"),
    ],
)
def test_the_published_protocol_is_refused_where_nothing_would_differ(
    more: tuple[str, ...], said: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    result = run("evaluate", root / "caps", "--layout", "mvtec", "--protocol", "published", *more)
    assert result.exit_code == 1
    assert said in result.stderr


def test_a_recipe_that_was_shown_defects_has_no_published_protocol(root: Path, scaled: Path) -> None:
    shown = run(
        "teach", scaled, "--defect", "spot", root / "caps/test/spot", "--masks", root / "caps/ground_truth/spot"
    )
    assert shown.exit_code == 0, shown.output
    result = run("evaluate", root / "caps", "--layout", "mvtec", "--recipe", scaled, "--protocol", "published")
    assert result.exit_code == 1
    assert "was shown defects" in result.stderr
