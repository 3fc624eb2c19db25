"""What someone who names defects for the first time is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.support.defects import TYPES, draw_defects, draw_good

from blemish import encoders
from blemish.cli.main import main
from blemish.encoders import TINY
from blemish.encoders.capabilities import require
from blemish.errors import BadInput
from blemish.runs import discovery


def run(*arguments: str | Path, status: int = 0) -> str:
    found = CliRunner().invoke(main, [str(each) for each in arguments])
    assert found.exit_code == status, found.output
    return " ".join(found.output.split())


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good parts, examples of three types, and a recipe."""
    folder = tmp_path_factory.mktemp("new")
    draw_good(folder, 6)
    draw_defects(folder / "shown", 3)
    good = folder / "images" / "good"
    run("recipe", "freeze", folder / "a.blemish", "--normal", good, "--method", "patchcore", "--set", "image_size=64")
    return folder


def test_good_parts_among_the_examples_are_said_to_be_no_type(root: Path, tmp_path: Path) -> None:
    draw_defects(tmp_path, 2)
    draw_good(tmp_path, 3)
    shown, encoder = tmp_path / "images", ("--encoder", TINY)
    said = run("classify", shown / TYPES[0], "--examples", shown, "--save", tmp_path / "a.blemish", *encoder)
    assert "3 good parts among the examples: good is no type of defect, and is left out" in said
    said = run("classify", shown, "--examples", shown, "--save", tmp_path / "a.blemish", *encoder, status=1)
    assert "a.blemish exists: name another file, or use that one by --recipe" in said


def test_one_example_of_a_type_is_said_to_be_little_once(root: Path, tmp_path: Path) -> None:
    draw_defects(tmp_path, 3)
    for kind in TYPES[:2]:
        for path in sorted((tmp_path / "images" / kind).iterdir())[1:]:
            path.unlink()
    images, told = tmp_path / "images", f"{min(TYPES[:2])}, {max(TYPES[:2])}: one example is little to know a type by"
    said = run("classify", images, "--examples", images, "--encoder", TINY)
    assert said.count(f"note: {told}: show more") == 1
    said = run("teach", root / "a.blemish", "--examples", tmp_path, "--out", tmp_path / "b.blemish")
    assert said.count("one example is little") == 1
    said = run("evaluate", root / "shown", "--task", "types", "--shots", "1", "--encoder", TINY)
    assert "one example is little" not in said  # it was asked for


def test_what_was_taught_of_several_types_is_undone_at_once(root: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "a.blemish"
    recipe.write_bytes((root / "a.blemish").read_bytes())
    run("teach", recipe, "--examples", root / "shown")
    assert recipe.read_bytes() != (root / "a.blemish").read_bytes()
    run("teach", recipe, "--undo")
    assert recipe.read_bytes() == (root / "a.blemish").read_bytes()


@pytest.mark.parametrize("command", ["classify", "teach"])
def test_a_type_of_which_nothing_can_be_read_is_named(root: Path, tmp_path: Path, command: str) -> None:
    draw_defects(tmp_path, 2, kinds=TYPES[:2])
    for path in (tmp_path / "images" / TYPES[1]).iterdir():
        path.write_bytes(b"no picture")
    (tmp_path / "images" / "nothing").mkdir()
    if command == "classify":
        shown = tmp_path / "images"
        said = run("classify", shown / TYPES[0], "--examples", shown, "--encoder", TINY, status=1)
    else:
        said = run("teach", root / "a.blemish", "--examples", tmp_path, "--out", tmp_path / "b.blemish", status=1)
    assert f"no picture of {TYPES[1]} can be read: replace them, or leave the type out" in said
    assert "nothing is empty, so nothing is no type here" in said


def test_masks_of_examples_are_found_beside_them(root: Path) -> None:
    words = ("teach", root / "a.blemish", "--examples", root / "shown", "--masks", root / "shown" / "masks")
    said = run(*words, status=2)
    assert "--masks goes with --defect: --examples finds masks itself, masks/TYPE/NAME.png of images/TYPE/NAME" in said


def test_names_of_two_recipes_are_compared_in_words(root: Path, tmp_path: Path) -> None:
    taught, rules = tmp_path / "b.blemish", tmp_path / "rules.toml"
    run("teach", root / "a.blemish", "--examples", root / "shown", "--out", taught)
    rules.write_text(f'["{TYPES[0]}"]\nseverity = "review"\naccept_below_px = 4\n["{TYPES[1]}"]\n["{TYPES[2]}"]\n')
    run("teach", taught, "--defects", rules, "--out", tmp_path / "c.blemish")
    said = run("recipe", "diff", root / "a.blemish", taught, status=1)
    assert f"types of defects {', '.join(TYPES)}" in said
    assert "classifier ridge, of defects" in said
    assert "{" not in said
    said = run("recipe", "diff", taught, tmp_path / "c.blemish", status=1)
    assert f"severity of {TYPES[0]} review, below 4 px accept" in said
    assert "types of defects" not in said


def test_what_follows_from_a_discovery_is_said(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taught, out = tmp_path / "b.blemish", tmp_path / "some groups"
    run("teach", root / "a.blemish", "--examples", root / "shown", "--out", taught)
    spots = root / "shown" / "images" / TYPES[1]
    said = run("discover", spots, "--recipe", taught, "--out", out, "--all")
    assert f"blemish teach {taught} --defect NAME '{out}/group-1/pictures' --masks '{out}/group-1/masks'" in said
    assert "--groups N" in said
    run("calibrate", taught, "--good", root / "images" / "good", "--every-picture")
    said = run("discover", root / "images" / "good", "--recipe", taught, "--out", tmp_path / "good", "--all")
    assert "the recipe accepts all of 6 pictures" in said
    monkeypatch.setattr(discovery, "discover", lambda *_, **__: [])
    said = run("discover", spots, "--recipe", taught, "--out", tmp_path / "none")
    assert "no defect of an unknown type was found in 3 pictures: --all groups known ones too" in said


def test_an_encoder_with_random_weights_is_not_recommended() -> None:
    light = Path(__file__).parents[1] / "parity/encoders"
    blind = encoders.load(str(next(light.glob("timm_resnet*/*model*.safetensors"))))
    with pytest.raises(BadInput, match="choose one that can, such as embedded") as said:
        require(blind, {"text"})
    assert TINY not in str(said.value)
