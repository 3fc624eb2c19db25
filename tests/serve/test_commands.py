from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pyarrow import parquet
from tests.support.parts import frozen, good, spots
from tests.support.serving import LINE, line_settings, record

from blemish.cli.main import main
from blemish.errors import BadImage, BadRecipe
from blemish.recipes.calibrate import HoldoutScheme, calibrate
from blemish.recipes.recipe import save
from blemish.serve.judge import judge_by_recipe
from blemish.serve.store import Store


def run(*words: object) -> Result:
    return CliRunner().invoke(main, list(map(str, words)))


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipe")
    plain = frozen("patchcore", good(folder, 4))
    save(plain, folder / "plain.blemish")
    way = HoldoutScheme("split", every_picture=True)
    save(calibrate(plain, good(folder, 12, 20), defects={"spot": spots(folder, 2)}, way=way), folder / "gear.blemish")
    return folder / "gear.blemish"


def test_a_recipe_judges_a_view_as_the_command_does(recipe: Path, tmp_path: Path) -> None:
    [picture] = spots(tmp_path, 1)
    judge = judge_by_recipe(recipe, 10**6)
    found = judge.judge(picture.read_bytes(), "a part")
    result = run("inspect", picture, "--recipe", recipe, "--out", tmp_path / "out", "--json")
    line = json.loads(result.output.splitlines()[0])
    assert (found.score, found.verdict, list(found.regions)) == (line["score"], line["verdict"], line["regions"])
    assert found.size == (64, 64)
    assert found.anomaly_map is not None
    assert found.anomaly_map.shape == (64, 64)
    assert judge.hash == line["recipe"]


def test_a_view_that_is_too_large_or_torn_is_refused_before_it_is_decoded(recipe: Path, tmp_path: Path) -> None:
    [picture] = spots(tmp_path, 1)
    judge = judge_by_recipe(recipe, 4000)
    with pytest.raises(BadImage, match=r"a part: 64 x 64 = 0\.0 megapixels, above the limit of 0\.0: send smaller"):
        judge.judge(picture.read_bytes(), "a part")
    with pytest.raises(BadImage, match="a part is not a PNG"):
        judge.judge(b"no picture at all", "a part")
    from PIL import Image

    Image.new("RGB", (2000, 2000)).save(tmp_path / "bomb.png")
    with pytest.raises(BadImage, match="no camera packs pictures so tightly"):
        judge_by_recipe(recipe, 10**9).judge((tmp_path / "bomb.png").read_bytes(), "a part")


def test_a_recipe_that_decides_nothing_is_refused(recipe: Path) -> None:
    with pytest.raises(BadRecipe, match=r"plain\.blemish decides nothing: calibrate it first"):
        judge_by_recipe(recipe.with_name("plain.blemish"), 10**6)


def test_a_line_is_checked_and_nothing_started(recipe: Path, tmp_path: Path) -> None:
    file = tmp_path / "line.toml"
    file.write_text(f'[[stations]]\nname = "gears"\nrecipes = {{ gear = "{recipe}" }}\n')
    result = run("serve", file, "--check")
    assert (result.exit_code, result.output) == (0, "line: 1 station, 1 recipe, all fits\n")
    file.write_text(file.read_text().replace(str(recipe), str(recipe.with_name("plain.blemish"))))
    assert "decides nothing" in run("serve", file, "--check").output
    file.write_text(file.read_text() + "speed = 3\n")
    result = run("serve", file, "--check")
    assert result.exit_code == 1
    assert f"Error: {file}, line 4: stations[0].speed: there is no such key" in result.output
    assert not (tmp_path / "line-data").exists()


def test_a_demonstration_needs_no_file_and_a_line_that_others_could_reach_is_named(
    recipe: Path, tmp_path: Path
) -> None:
    assert run("serve", "--demo", "--check").output == "Demonstration: 1 station, 0 recipes, all fits\n"
    assert "name a line.toml, or look at a demonstration by --demo" in run("serve").output
    file = tmp_path / "line.toml"
    file.write_text(f'server.host = "0.0.0.0"\n[[stations]]\nname = "gears"\nrecipes = {{ gear = "{recipe}" }}\n')
    assert "0.0.0.0 can be reached by others: give certificate and key" in run("serve", file, "--check").output


def test_records_are_written_as_tables(tmp_path: Path) -> None:
    settings = line_settings(tmp_path, LINE)
    with Store(settings.store) as store:
        for number in range(3):
            store.add(record(str(number), score=number / 2, types=("crack",), batch="=cmd"))
        store.add(record("late", verdict="review", station="twins")).result(5)
        result = run("records", tmp_path / "line.toml", "--out", tmp_path / "all.csv")
        assert result.output == f"{tmp_path / 'all.csv'}: 4 parts\n"
    with (tmp_path / "all.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["part"] for row in rows] == ["0", "1", "2", "late"]
    assert (rows[1]["score"], rows[1]["types"], rows[1]["batch"]) == ("0.5", '["crack"]', "'=cmd")
    run("records", tmp_path / "line.toml", "--out", tmp_path / "some.parquet", "--station", "gears")
    table = parquet.read_table(tmp_path / "some.parquet").to_pylist()
    assert [(row["part"], row["score"], row["waits"], row["batch"]) for row in table] == [
        ("0", 0.0, False, "=cmd"), ("1", 0.5, False, "=cmd"), ("2", 1.0, False, "=cmd"),
    ]  # fmt: skip
    assert "name it .csv or .parquet" in run("records", tmp_path / "line.toml", "--out", tmp_path / "a.xlsx").output
