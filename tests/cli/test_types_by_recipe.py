"""`blemish evaluate --task types --recipe`: what a recipe has learned names labelled pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.support.defects import TYPES, draw_defects, draw_good

from blemish.cli.main import main
from blemish.encoders import TINY


def run(*arguments: str | Path, status: int = 0) -> str:
    found = CliRunner().invoke(main, [str(each) for each in arguments])
    assert found.exit_code == status, found.output
    return found.output if status else found.stdout


def measured(*arguments: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("evaluate", *arguments, "--task", "types", "--json"))
    return found


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Examples of two types, other pictures of three, and good parts; a recipe that finds and one that only names."""
    folder = tmp_path_factory.mktemp("measured")
    draw_good(folder, 8)
    draw_defects(folder / "shown", 6, kinds=TYPES[:2])
    draw_defects(folder / "new", 4, first=50)
    recipe = folder / "line.blemish"
    run(
        "recipe",
        "freeze",
        recipe,
        "--normal",
        folder / "images/good",
        "--method",
        "patchcore",
        "--set",
        "image_size=64",
    )
    run("teach", recipe, "--examples", folder / "shown")
    run("calibrate", recipe, "--good", folder / "images/good", "--every-picture")
    shown = folder / "shown/images"
    run("classify", shown / "dark spot", "--examples", shown, "--save", folder / "types.blemish", "--encoder", TINY)
    return folder


@pytest.mark.parametrize("of", ["pictures", "defects"])
def test_regions_are_named_as_the_recipe_names_them(root: Path, of: str) -> None:
    found = measured(root / "new", "--recipe", root / "line.blemish", "--of", of)
    assert found["learned"] == {"bright line": 6, "dark spot": 6}
    assert found["defects"] == 8
    assert found["accuracy"]["value"] > 0.6
    assert found["unknown_auroc"]["value"] > 0.5  # red patches, which nobody showed
    assert (found["found_and_named"] is None) == (of == "defects")
    assert {"coverage", "set_size", "calibration_error", "recipe"} <= set(found)


def test_what_inspect_says_of_the_worst_region_is_what_is_measured(root: Path, tmp_path: Path) -> None:
    known = [root / "new/images" / kind for kind in TYPES[:2]]
    run("inspect", *known, "--recipe", root / "line.blemish", "--out", tmp_path / "out", status=11)
    lines = [json.loads(line) for line in (tmp_path / "out/results.jsonl").read_text().splitlines()]
    worst = [line["regions"][0] for line in lines]
    right = [Path(line["path"]).parent.name == each["may_be"][0] for line, each in zip(lines, worst, strict=True)]
    found = measured(root / "new", "--recipe", root / "line.blemish")
    assert found["accuracy"]["value"] == pytest.approx(sum(right) / len(right))


def test_whole_pictures_are_named_by_what_classify_saved(root: Path) -> None:
    found = measured(root / "new", "--recipe", root / "types.blemish")
    assert found["learned"] == {"bright line": 6, "dark spot": 6}
    assert found["defects"] == 8
    assert "bright line" in run("evaluate", root / "new", "--task", "types", "--recipe", root / "types.blemish")


def test_pictures_that_taught_are_left_out(root: Path, tmp_path: Path) -> None:
    draw_defects(tmp_path, 4, first=50, kinds=TYPES[:2])
    draw_defects(tmp_path, 3, kinds=TYPES[:2])  # which were shown
    found = measured(tmp_path, "--recipe", root / "types.blemish")
    assert found["defects"] == 8
    assert "6 pictures taught the recipe, left out" in found["notes"]
    said = run("evaluate", root / "shown", "--task", "types", "--recipe", root / "types.blemish", status=1)
    assert "all defects in" in said
    assert "measure it on others" in said


def test_what_does_not_fit_is_refused_in_a_sentence(root: Path, tmp_path: Path) -> None:
    plain, lone = tmp_path / "plain.blemish", tmp_path / "lone.blemish"
    for recipe in (plain, lone):
        run(
            "recipe",
            "freeze",
            recipe,
            "--normal",
            root / "images/good",
            "--method",
            "patchcore",
            "--set",
            "image_size=64",
        )
    run("teach", lone, "--defect", "dark spot", root / "shown/images/dark spot")
    types, new = ("--task", "types"), root / "new"
    assert "plain.blemish names no types of defects: teach it some by" in run(
        "evaluate", new, *types, "--recipe", plain, status=1
    )
    assert "knows one type, dark spot: teach it a second" in run("evaluate", new, *types, "--recipe", lone, status=1)
    said = run("evaluate", new, *types, "--recipe", root / "types.blemish", "--of", "defects", status=1)
    assert "names whole pictures, not what masks mark in them: leave out --of defects" in said
    said = run("evaluate", new, *types, "--recipe", plain, "--hold-out", "each", "--shots", "1", status=2)
    assert "--recipe has its own --shots, --hold-out" in said
    draw_defects(tmp_path / "other", 2, kinds=TYPES[2:])
    said = run("evaluate", tmp_path / "other", *types, "--recipe", root / "types.blemish", status=1)
    assert "it knows bright line, dark spot, and there is red patch" in said
    draw_defects(tmp_path / "spelt", 2, kinds=TYPES[:1])
    (tmp_path / "spelt/images" / TYPES[0]).rename(tmp_path / "spelt/images/Bright_Line")
    said = run("evaluate", tmp_path / "spelt", *types, "--recipe", root / "types.blemish", status=1)
    assert "'bright line' and 'Bright_Line' are one type in two spellings" in said
