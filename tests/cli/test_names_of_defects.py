"""From pictures to named defects, through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.support.defects import TYPES, draw_defects, draw_good
from tests.support.pages import Page

from blemish.cli.main import main
from blemish.encoders import TINY
from blemish.recipes.recipe import load

SEEN = ["--set", "image_size=64"]


def run(*arguments: str | Path, status: int = 0) -> str:
    found = CliRunner().invoke(main, [str(each) for each in arguments])
    assert found.exit_code == status, found.output
    return found.output if status else found.stdout


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good parts, examples to teach and others to inspect."""
    root = tmp_path_factory.mktemp("parts")
    draw_good(root / "good", 12)
    draw_defects(root / "shown", 4)
    draw_defects(root / "new", 4, first=50)
    return root


@pytest.fixture(scope="module")
def taught(parts: Path) -> Path:
    """A calibrated recipe that was shown two of the types."""
    recipe, examples = parts / "line.blemish", parts / "two"
    draw_defects(examples, 8, kinds=TYPES[:2])
    run("recipe", "freeze", recipe, "--normal", parts / "good", "--method", "patchcore", *SEEN)
    run("teach", recipe, "--examples", examples)
    run("calibrate", recipe, "--good", parts / "good", "--every-picture")
    return recipe


def test_regions_are_named_by_what_was_taught_with_how_sure_and_why(taught: Path, parts: Path, tmp_path: Path) -> None:
    run("inspect", parts / "new" / "images", "--recipe", taught, "--out", tmp_path / "out", status=11)
    found = dict[str, list[str]]()
    for line in lines(tmp_path / "out"):
        found.setdefault(Path(line["path"]).parent.name, []).extend(line["types"][:1])
        region = line["regions"][0]
        assert (region["like"].endswith(".png") and "/" in region["like"]) or region["type"] == "unknown"
        assert set(region["may_be"]) <= set(TYPES[:2])
        assert set(region["likeliest"]) == set(TYPES[:2])
        likeliest = next(iter(region["likeliest"].values()))
        assert region["probability"] == (None if region["type"] == "unknown" else likeliest)
        assert 0 <= likeliest <= 1
        assert region["sentence"].count(";") >= 1
    assert found["dark spot"].count("dark spot") >= 3
    assert found["bright line"].count("bright line") >= 3


def test_the_recipe_says_what_it_names(taught: Path) -> None:
    said = run("recipe", "show", taught)
    assert "bright line, dark spot (ridge, by examples)" in said
    assert "90 % of sets of types hold the right one" in said


def test_the_severity_of_a_type_decides_the_verdict(taught: Path, parts: Path, tmp_path: Path) -> None:
    rules = tmp_path / "defects.toml"
    rules.write_text(
        '["bright line"]\nseverity = "review"\n["dark spot"]\nseverity = "reject"\naccept_below_px = 100000\n'
    )
    out = tmp_path / "out"
    run("teach", taught, "--defects", rules, "--out", tmp_path / "severe.blemish")
    images, page = parts / "new" / "images", tmp_path / "page.html"
    run("inspect", images, "--recipe", tmp_path / "severe.blemish", "--out", out, "--report", page, status=11)
    assert Page(page).about["recipe"]["rules"] == {
        "bright line": "review", "dark spot": "reject, below 100000 px accept",
    }  # fmt: skip
    named = [line for line in lines(out) if {each["type"] for each in line["regions"]} == {"dark spot"}]
    assert named
    assert {line["verdict"] for line in named} == {"accept"}
    assert {line["verdict_by_score"] for line in named} == {"reject"}
    reviewed = [line for line in lines(out) if {each["type"] for each in line["regions"]} == {"bright line"}]
    assert {line["verdict"] for line in reviewed} == {"review"}
    unknown = [line for line in lines(out) if "red patch" in line["path"]]
    assert {kind for line in unknown for kind in line["types"]} == {"unknown"}
    assert {line["verdict"] for line in unknown} == {"reject"}
    assert "severity" in run("recipe", "show", tmp_path / "severe.blemish")
    measured = json.loads(run("evaluate", images, "--recipe", tmp_path / "severe.blemish", "--json"))
    assert measured["verdicts"]["dark spot"]["accepted"]["cases"] == len(named)  # by the type, not by the score


def test_words_alone_name_what_is_found_and_the_page_shows_it(parts: Path, tmp_path: Path) -> None:
    new, page = parts / "new" / "images" / "dark spot", tmp_path / "page.html"
    run(
        "inspect", new, "--normal", parts / "good", "--defects", "dark spot, scratch", "--product", "plate",
        "--method", "patchcore", "--out", tmp_path / "out", "--report", page, *SEEN,
    )  # fmt: skip
    for line in lines(tmp_path / "out"):
        assert set(line["types"]) <= {"dark spot", "scratch"}
        assert line["suggested"]["regions"][0]["type"] in ("dark spot", "scratch")
    shown = Page(page)
    for place, item in enumerate(shown.items):
        maps = json.loads(shown.texts[f"large-{place}"])["maps"]
        assert {each["name"] for each in maps} == {each["type"] for each in item["regions"]}
    assert "probability" in page.read_text(encoding="utf-8")
    assert shown.about["settings"]["defects"] == ["dark spot", "scratch"]


def test_the_words_that_fit_best_and_millimetres_are_said(parts: Path, tmp_path: Path) -> None:
    listed, recipe, good = tmp_path / "defects.toml", tmp_path / "words.blemish", parts / "good"
    listed.write_text('[stain]\ndefinition = "a dark round spot"\n["other"]\n')
    run("recipe", "freeze", recipe, "--normal", good, "--defects", listed, "--method", "patchcore", *SEEN)
    run("calibrate", recipe, "--good", good, "--every-picture")
    new = parts / "new" / "images" / "dark spot"
    run("inspect", new, "--recipe", recipe, "--scale", "0.5", "--out", tmp_path / "out", status=11)
    found = [region for line in lines(tmp_path / "out") for region in line["regions"]]
    phrases = {"stain": {"stain", "a dark round spot"}, "other": {"other"}}
    for region in found:
        likeliest = region["may_be"][0]
        assert region["words"] in phrases[likeliest]
        assert f"{region['length_mm']:.3g} mm long, {region['area_mm2']:.3g} mm²" in region["sentence"]
        said = region["words"] != likeliest and region["type"] == likeliest
        assert (f'"{region["words"]}" fits it best' in region["sentence"]) == said
    assert found


def test_a_frozen_recipe_keeps_the_words_and_compares_with_examples_later(parts: Path, tmp_path: Path) -> None:
    recipe, listed = tmp_path / "words.blemish", tmp_path / "defects.toml"
    listed.write_text('["dark spot"]\ndefinition = "a dark round spot"\n[stain]\ndefinition = "a brown stain"\n')
    good = parts / "good"
    words = ("--defects", listed, "--product", "plate")  # which the method does not read
    run("recipe", "freeze", recipe, "--normal", good, *words, "--method", "patchcore", *SEEN)
    assert "dark spot, stain (words)" in run("recipe", "show", recipe)
    assert load(recipe).names.arguments == {"product": "plate"}  # type: ignore[union-attr]
    run("teach", recipe, "--defect", "dark spot", parts / "shown" / "images" / "dark spot")
    assert "dark spot, stain (prompt-images, by examples)" in run("recipe", "show", recipe)
    shown = [line.split()[0] for line in run("recipe", "show", recipe).splitlines() if "dar" in line and ".png" in line]
    run("teach", recipe, *(word for each in shown for word in ("--forget", each)))
    assert "dark spot, stain (words)" in run("recipe", "show", recipe)


def test_forgetting_the_pictures_of_a_type_takes_its_name(taught: Path, tmp_path: Path) -> None:
    rows = [
        line.split() for line in run("recipe", "show", taught).splitlines() if "dark spot" in line and ".png" in line
    ]
    options = [each for row in rows for each in ("--forget", row[0])]
    run("teach", taught, *options, "--out", tmp_path / "less.blemish")
    assert "types of defects   bright line" in run("recipe", "show", tmp_path / "less.blemish")


def test_what_is_like_no_type_is_put_in_groups_that_can_be_taught(taught: Path, parts: Path, tmp_path: Path) -> None:
    out, recipe = tmp_path / "found", tmp_path / "line.blemish"
    recipe.write_bytes(taught.read_bytes())
    said = json.loads(run("discover", parts / "new" / "images", "--recipe", recipe, "--out", out, "--all", "--json"))
    assert sum(group["defects"] for group in said["groups"]) >= 12
    assert (out / "group-1.png").stat().st_size > 1000
    run("teach", recipe, "--defect", "other", out / "group-1" / "pictures", "--masks", out / "group-1" / "masks")
    assert "other" in run("recipe", "show", recipe)
    assert "holds earlier groups" in run("discover", parts / "new", "--recipe", recipe, "--out", out, status=1)


@pytest.mark.parametrize("words", [(), ("--defects", f"{TYPES[0]}, {TYPES[1]}")])
def test_only_what_is_of_no_known_type_is_put_in_groups(words: tuple[str, ...], parts: Path, tmp_path: Path) -> None:
    """Whether it is named by examples alone or by words as well; by words alone nothing is known."""
    recipe, examples = tmp_path / "line.blemish", parts / "known"
    draw_defects(examples, 8, kinds=TYPES[:2])
    good = parts / "good"
    run("recipe", "freeze", recipe, "--normal", good, "--method", "patchcore", *words, *SEEN)
    if words:
        spots = parts / "new" / "images" / TYPES[1]
        run("discover", spots, "--recipe", recipe, "--out", tmp_path / "first")
        assert len([*(tmp_path / "first").glob("group-*/pictures/*")]) == 4
    run("teach", recipe, "--examples", examples)
    run("calibrate", recipe, "--good", good, "--every-picture")
    run("inspect", parts / "new" / "images", "--recipe", recipe, "--out", tmp_path / "out", status=11)
    unknown = {Path(line["path"]).stem for line in lines(tmp_path / "out") if "unknown" in line["types"]}
    run("discover", parts / "new" / "images", "--recipe", recipe, "--out", tmp_path / "found")
    found = {path.stem.partition("-")[2] for path in (tmp_path / "found").glob("group-*/pictures/*")}
    assert found == unknown
    assert 0 < len(found) < 12


def test_whole_pictures_are_classified_and_what_was_learned_is_kept(parts: Path, tmp_path: Path) -> None:
    kept, images = tmp_path / "types.blemish", parts / "new" / "images"
    once = run("classify", images, "--examples", parts / "shown", "--save", kept, "--encoder", TINY, "--json")
    again = run("classify", images, "--recipe", kept, "--json")
    assert once == again
    rows = [json.loads(line) for line in once.splitlines()]
    right = [row["type"] == Path(row["path"]).parent.name for row in rows]
    assert sum(right) >= 10
    assert "use it by `blemish classify`" in run("inspect", images, "--recipe", kept, "--out", tmp_path / "o", status=1)


def test_a_set_is_named_together_by_a_classifier_of_sets(parts: Path, tmp_path: Path) -> None:
    kept, images = tmp_path / "types.blemish", parts / "new" / "images"
    words: list[str | Path] = ["--classifier", "gedt-opt", "--set", "binding=0.01", "--encoder", TINY]
    words += ["--save", kept, "--json"]
    rows = [json.loads(line) for line in run("classify", images, "--examples", parts / "shown", *words).splitlines()]
    chances = [row["likeliest"] for row in rows]
    alone = json.loads(run("classify", rows[0]["path"], "--recipe", kept, "--json"))["likeliest"]
    assert len(chances) > 10
    assert chances[0] != alone


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("scratch, Scratch", "one type in two spellings"),
        ("good", "no type of defect here"),
        (" , ", "names no defect"),
        ("scratch,,dent", "'scratch,,dent' has a comma too many: write 'scratch, dent'"),
        ("none.toml", "none.toml does not exist"),
        ("NONE.TOML", "NONE.TOML does not exist"),
        ("a " * 200 + "dent", "has 404 characters, a name at most 100: shorten it"),
        ("scratch+dent", "'scratch+dent' names several types of defects: give each a name of its own, without + and ;"),
    ],
)
def test_a_list_of_defects_that_will_not_do_is_refused(parts: Path, tmp_path: Path, said: str, sentence: str) -> None:
    arguments: list[str | Path] = ["inspect", parts / "new", "--defects", said, "--out", tmp_path / "out", *SEEN]
    assert sentence in run(*arguments, status=1)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ('severity = "bad"', "severity: 'bad' will not do, wanted is one of accept, review, reject"),
        ("accept_below_px = 3", "needs severity"),
        ('colour = "red"', "colour: there is no such key"),
        ('severity = "reject"\naccept_below_px = 3\naccept_below_mm2 = 1', "leave one out"),
    ],
)
def test_a_table_of_a_type_that_will_not_do_is_refused(parts: Path, tmp_path: Path, table: str, sentence: str) -> None:
    (tmp_path / "d.toml").write_text(f"[scratch]\n{table}\n")
    arguments: list[str | Path] = [
        "inspect",
        parts / "new",
        "--defects",
        tmp_path / "d.toml",
        "--out",
        tmp_path / "out",
        *SEEN,
    ]
    assert sentence in run(*arguments, status=1)


@pytest.mark.parametrize("name", ["", "  ", "+"])
def test_a_table_without_a_name_is_refused(parts: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "d.toml").write_text(f'["{name}"]\nseverity = "reject"\n')
    asked: list[str | Path] = ["inspect", parts / "new", "--defects", tmp_path / "d.toml", "--out", tmp_path / "out"]
    assert f"{name!r} names no type of defects: give each a name" in run(*asked, status=1)


def test_a_limit_in_square_millimetres_without_a_scale_is_said(parts: Path, tmp_path: Path) -> None:
    (tmp_path / "d.toml").write_text('["dark spot"]\nseverity = "review"\naccept_below_mm2 = 3\n[scratch]\n')
    asked: list[str | Path] = [
        "inspect",
        parts / "new" / "images" / TYPES[0],
        "--normal",
        parts / "good",
        "--product",
        "plate",
    ]
    asked += ["--method", "patchcore", "--defects", tmp_path / "d.toml", *SEEN]
    for number, scale in enumerate(([], ["--scale", "0.1"])):
        found = CliRunner().invoke(main, [*map(str, asked), "--out", str(tmp_path / f"{number}"), *scale])
        assert found.exit_code == 0, found.output
        assert ("none of dark spot is accepted for being small" in found.stderr) == (not scale)


def test_classify_needs_something_to_learn_from(parts: Path) -> None:
    assert "say one of --examples and --recipe" in run("classify", parts / "new", status=2)


def test_what_classify_has_no_use_for_is_said_or_refused(parts: Path, tmp_path: Path) -> None:
    image, kept = next((parts / "new" / "images" / TYPES[0]).iterdir()), tmp_path / "types.blemish"
    learning: list[str | Path] = ["classify", image, "--examples", parts / "shown", "--encoder", TINY, "--save", kept]
    found = CliRunner().invoke(main, [*map(str, learning), "--product", "plate"])
    assert found.exit_code == 0, found.output
    assert "ridge reads no words, so --product changes nothing" in found.stderr
    assert "--tile: that is for what finds defects" in run(*learning, "--tile", "32", status=2)
    assert "--recipe has its own --classifier" in run(
        "classify", image, "--recipe", kept, "--classifier", "nearest", status=2
    )


def test_defaults_of_a_folder_do_not_keep_a_recipe_from_classifying(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = next((parts / "new" / "images" / TYPES[0]).iterdir())
    monkeypatch.chdir(tmp_path)
    (tmp_path / "blemish.toml").write_text(
        'method = "patchcore"\nproduct = "plate"\n[classify]\nclassifier = "nearest"\n'
    )
    run("classify", image, "--examples", parts / "shown", "--encoder", TINY, "--save", "types.blemish")
    assert run("recipe", "show", "types.blemish").count("nearest") == 1
    run("classify", image, "--recipe", "types.blemish")
