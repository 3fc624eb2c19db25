"""Deployed recipes from file to verdict in an interpreter that has nothing of what comes with torch."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from tests.structure.source import ROOT
from tests.support.exports import IN_ONE_PROCESS
from tests.support.parts import frozen, good, mask, part, spots

from blemish.calibration.thresholds import Goal
from blemish.classification.names import defect_types
from blemish.cli.main import main
from blemish.errors import BadRecipe
from blemish.export.deploying import ExportPlan
from blemish.export.exporting import export_recipe
from blemish.images import Region, View, read_region_mask
from blemish.recipes import file as recipe_file
from blemish.recipes.calibrate import HoldoutScheme, calibrate
from blemish.recipes.recipe import Recipe, load, save
from blemish.recipes.types_taught import name_types
from blemish.runtime import load as load_deployed
from blemish.serve.judge import judge_by_recipe

pytestmark = IN_ONE_PROCESS
BLOCKED = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "tokenizers", "huggingface_hub", "scipy"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
"""


def without_torch(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BLOCKED + program],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT.parent)},
        capture_output=True,
        text=True,
        check=False,
    )


def command(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return without_torch(f"from blemish.cli.main import main\nmain({[str(each) for each in words]!r})", folder)


def lines(folder: Path) -> dict[str, dict[str, Any]]:
    every = (json.loads(line) for line in (folder / "results.jsonl").read_text(encoding="utf-8").splitlines())
    return {Path(line["path"]).name: line for line in every}


def agree(one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    assert one.keys() == other.keys()
    for name, line in one.items():
        there = other[name]
        assert line["score"] == pytest.approx(there["score"], abs=1e-5)
        assert line.get("verdict") == there.get("verdict")
        assert [each["box"] for each in line["regions"]] == [each["box"] for each in there["regions"]]
        for said in ("type", "words", "sentence"):
            assert [each.get(said) for each in line["regions"]] == [each.get(said) for each in there["regions"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of 8 and 16 bits, of odd sizes, with and without a defect, upright and lying."""
    home = tmp_path_factory.mktemp("parts")
    spots(home / "new", 2)
    good(home / "new", 1, first=60)
    part(home / "new/large.png", 70, spot=(61, 40), side=131)
    deep = np.random.default_rng(1).integers(28000, 36000, (77, 64), dtype=np.uint16)
    deep[30:44, 20:34] = 60000
    Image.fromarray(deep).save(home / "new/deep.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(home / "new/spot0.png") as picture:
        picture.save(home / "new/turned.png", exif=exif)
    return home


@pytest.fixture(scope="module")
def recipe(folder: Path) -> Recipe:
    way, goal = HoldoutScheme("split", every_picture=True), Goal(false_reject=0.2, confidence=0.5, pixel=0.2)
    made = frozen("patchcore", good(folder / "taught", 4))
    return calibrate(made, good(folder / "fresh", 8, first=20), goal=goal, way=way)


@pytest.fixture(scope="module")
def deployed(folder: Path, recipe: Recipe) -> Path:
    save(recipe, folder / "line.blemish")
    plan = ExportPlan(check=(folder / "new/spot0.png",))
    save(export_recipe(recipe, plan).recipe, folder / "line.deploy.blemish")
    return folder / "line.deploy.blemish"


def inspect_both(folder: Path, name: str) -> None:
    """By the recipe with torch, and by the deployed one without."""
    for end in (".blemish", ".deploy.blemish"):
        shutil.rmtree(folder / f"out{end}", ignore_errors=True)
    words = ["inspect", str(folder / "new"), "--recipe", str(folder / f"{name}.blemish")]
    CliRunner().invoke(main, [*words, "--out", str(folder / "out.blemish")])
    done = command(
        folder, "inspect", folder / "new", "--recipe", f"{name}.deploy.blemish", "--out", "out.deploy.blemish"
    )
    assert done.returncode in (0, 10, 11), done.stderr
    agree(lines(folder / "out.deploy.blemish"), lines(folder / "out.blemish"))


def test_verdicts_without_torch_are_those_with_it(folder: Path, deployed: Path) -> None:
    inspect_both(folder, "line")
    found = lines(folder / "out.deploy.blemish")
    assert len(found) == 6
    assert found["spot0.png"]["verdict"] == "reject"
    assert found["good60.png"]["verdict"] == "accept"
    assert (folder / "out.deploy.blemish/overlays").is_dir()


def test_tiles_region_and_mask_are_seen_without_torch(folder: Path, recipe: Recipe) -> None:
    mask(folder / "where.png", (20, 20))
    painted = View(mask=read_region_mask(folder / "where.png"))
    plan = ExportPlan(check=(folder / "new/spot0.png",))
    for name, seen in (("tiled", View(Region(4, 2, 58, 60), None, 32, 8)), ("painted", painted)):
        made = replace(recipe, view=seen)
        save(made, folder / f"{name}.blemish")
        save(export_recipe(made, plan).recipe, folder / f"{name}.deploy.blemish")
    inspect_both(folder, "tiled")
    program = "from blemish.runtime import load\nimport numpy as np\n"
    program += "(found,) = load('painted.deploy.blemish').inspect(['new/spot0.png'])\n"
    program += "print(int(np.isfinite(found.result.anomaly_map).sum()))"
    assert without_torch(program, folder).stdout.split() == ["144"]


def test_five_lines_give_score_map_verdict_and_regions(folder: Path, deployed: Path) -> None:
    program = """
from blemish.runtime import load
line3 = load("line.deploy.blemish")
for found in line3.inspect(["new/spot0.png", "new/gone.png"]):
    print(getattr(found, "reason", "") or (found.verdict, found.result.anomaly_map.shape, len(found.regions)))
"""
    done = without_torch(program, folder)
    first, second = done.stdout.splitlines()
    assert first == "('reject', (64, 64), 1)", done.stderr
    assert "gone.png does not exist" in second


def test_a_station_judges_by_a_deployed_recipe_without_torch(folder: Path, deployed: Path) -> None:
    program = f"""
from pathlib import Path
from blemish.serve.judge import judge_by_recipe
judge = judge_by_recipe(Path({deployed.name!r}), 10**6)
for path in sorted(Path("new").glob("*.png")):
    found = judge.judge(path.read_bytes(), path.name)
    print(path.name, found.score, found.verdict, len(found.regions))
"""
    done = without_torch(program, folder)
    assert done.returncode == 0, done.stderr
    with_torch = judge_by_recipe(folder / "line.blemish", 10**6)
    said = [line.split() for line in done.stdout.splitlines()]
    assert len(said) == len(list((folder / "new").glob("*.png"))) > 4
    for name, score, verdict, regions in said:
        found = with_torch.judge((folder / "new" / name).read_bytes(), name)
        assert (verdict, int(regions)) == (found.verdict, len(found.regions))
        assert float(score) == pytest.approx(found.score, rel=1e-5)


def test_a_page_drift_and_resuming_work_without_torch(folder: Path, deployed: Path) -> None:
    words = ("inspect", "new", "--recipe", deployed.name, "--out", "again", "--drift", "0.01", "--report", "again.html")
    assert command(folder, *words).returncode == 11
    first = (folder / "again/results.jsonl").read_text(encoding="utf-8")
    assert "drift" in first
    assert "spot0" in (folder / "again.html").read_text(encoding="utf-8")
    part(folder / "new/later.png", 90)
    try:
        assert command(folder, *words, "--resume").returncode == 11
    finally:
        (folder / "new/later.png").unlink()
    later = (folder / "again/results.jsonl").read_text(encoding="utf-8")
    assert later.startswith(first)
    assert len(later.splitlines()) == len(first.splitlines()) + 1


def test_thresholds_of_a_deployed_file_are_changed_shown_compared_and_put_back(folder: Path, deployed: Path) -> None:
    shutil.copy(deployed, folder / "own.deploy.blemish")
    before = recipe_file.read(folder / "own.deploy.blemish")
    done = command(folder, "calibrate", "own.deploy.blemish", "--false-reject", "0.5", "--confidence", "0.5")
    assert done.returncode == 0, done.stderr
    after = recipe_file.read(folder / "own.deploy.blemish")
    assert after.header["calibration"]["reject"] < before.header["calibration"]["reject"]
    assert all(np.array_equal(after.tensors[name], array) for name, array in before.tensors.items())
    assert after.header["deployed"] == before.header["deployed"]
    assert "graph.model" in command(folder, "recipe", "show", "own.deploy.blemish", "--json").stdout
    differing = command(folder, "recipe", "diff", deployed.name, "own.deploy.blemish")
    assert differing.returncode == 1
    assert "calibration reject" in differing.stdout
    assert command(folder, "teach", "own.deploy.blemish", "--undo").returncode == 0
    assert recipe_file.digest(recipe_file.read(folder / "own.deploy.blemish")) == recipe_file.digest(before)


def test_a_deployed_file_is_calibrated_by_good_parts_without_torch(folder: Path, deployed: Path) -> None:
    shutil.copy(deployed, folder / "anew.deploy.blemish")
    words = ("--good", "fresh", "--every-picture", "--false-reject", "0.2", "--confidence", "0.5", "--pixel", "0.2")
    done = command(folder, "calibrate", "anew.deploy.blemish", *words)
    assert done.returncode == 0, done.stderr
    one, other = (load(folder / f"{name}.deploy.blemish").calibration for name in ("line", "anew"))
    assert one is not None
    assert other is not None
    assert other.good == pytest.approx(one.good, abs=1e-5)
    done = command(folder, "calibrate", "anew.deploy.blemish", "--good", "taught", "--scheme", "cross")
    assert done.returncode == 1
    assert "is deployed and forgets nothing" in done.stderr


def test_a_deployed_recipe_is_measured_without_torch(folder: Path, deployed: Path) -> None:
    good(folder / "data/train/good", 1, first=70)
    good(folder / "data/test/good", 3, first=80)
    spots(folder / "data/test/spot", 2)
    words = ("evaluate", "data", "--json", "--recipe")
    done = command(folder, *words, deployed.name, "--report", "measured.html")
    assert done.returncode == 0, done.stderr
    assert "spot0" in (folder / "measured.html").read_text(encoding="utf-8")
    here = CliRunner().invoke(main, ["evaluate", str(folder / "data"), *words[2:], str(folder / "line.blemish")])
    one, other = json.loads(done.stdout), json.loads(here.stdout)
    assert one["verdicts"] == other["verdicts"]
    assert one["image_auroc"] == other["image_auroc"]
    assert one["encoder"] == other["encoder"] == "test-tiny"
    refused = {
        (*words, deployed.name, "--protocol", "published"): "the authors of patchcore do not scale scores",
        (*words, deployed.name, "--device", "cpu"): "has its own --device",
        ("classify", "new", "--recipe", deployed.name): "names no defects: use it by `blemish inspect --recipe",
    }
    for asked, said in refused.items():
        assert said in command(folder, *asked).stderr


def test_regions_are_named_without_torch(folder: Path, recipe: Recipe) -> None:
    made = name_types(recipe, defect_types("spot, hole"))
    made = replace(made, calibration=recipe.calibration)
    save(made, folder / "named.blemish")
    plan = ExportPlan(check=(folder / "new/spot0.png",))
    save(export_recipe(made, plan).recipe, folder / "named.deploy.blemish")
    inspect_both(folder, "named")
    found = [each for line in lines(folder / "out.deploy.blemish").values() for each in line["regions"]]
    assert {each["type"] for each in found} <= {"spot", "hole", "unknown"}
    assert all("probability" in each and each["words"] in ("spot", "hole") for each in found)
    done = command(folder, "inspect", "new", "--recipe", "named.deploy.blemish", "--defects", "dent", "--out", "x")
    assert "name defects in the recipe that it was exported from" in done.stderr
    measure_names(folder, "named")


def measure_names(folder: Path, name: str) -> None:
    """By the recipe with torch, and by the deployed one without."""
    spots(folder / "types/spot", 3)
    for number in range(2):
        part(folder / f"types/hole/{number}.png", 40 + number, spot=(20, 9 + 20 * number))
    words = ("evaluate", "types", "--task", "types", "--json", "--recipe")
    done = command(folder, *words, f"{name}.deploy.blemish")
    assert done.returncode == 0, done.stderr
    here = [words[0], str(folder / "types"), *words[2:], str(folder / f"{name}.blemish")]
    one, other = json.loads(done.stdout), json.loads(CliRunner().invoke(main, here).stdout)
    assert one["accuracy"] == other["accuracy"]
    assert one["defects"] == other["defects"] == 5
    assert one["encoder"] == other["encoder"]
    refused = {
        (*words, f"{name}.deploy.blemish", "--report", "types.html"): "does not say what in a picture spoke for a type",
        ("discover", "new", "--recipe", f"{name}.deploy.blemish"): "is deployed and cannot be taught what is found",
    }
    for asked, said in refused.items():
        assert said in command(folder, *asked).stderr


def test_what_needs_torch_says_how_to_install_it(folder: Path, deployed: Path) -> None:
    for words in (("inspect", "new", "--out", "y"), ("inspect", "new", "--recipe", "line.blemish", "--out", "y")):
        done = command(folder, *words)
        assert done.returncode == 1
        assert "pip install 'blemish[torch]'" in done.stderr
        assert "Traceback" not in done.stderr
    done = without_torch("from blemish import PatchCore", folder)
    assert "pip install 'blemish[torch]'" in done.stderr


def test_a_deployed_recipe_cannot_be_taught_with_torch_or_without(folder: Path, deployed: Path) -> None:
    words, said = ("teach", deployed.name, "--good", "new"), "is deployed and learns nothing: use the recipe it was"
    assert said in command(folder, *words).stderr
    assert said in CliRunner().invoke(main, [words[0], str(deployed), *words[2:]]).stderr


def test_a_deployed_recipe_takes_no_encoder_and_no_device(folder: Path, deployed: Path) -> None:
    for option in (("--encoder", "test-tiny"), ("--device", "cpu")):
        done = command(folder, "inspect", "new", "--recipe", deployed.name, "--out", "z", *option)
        assert done.returncode == 2
        assert f"has its own {option[0]}" in done.stderr


def test_a_recipe_without_a_graph_and_an_altered_one_are_refused(folder: Path, deployed: Path) -> None:
    with pytest.raises(BadRecipe, match="holds no graph to run without torch: export it"):
        load_deployed(folder / "line.blemish")
    content = recipe_file.read(deployed)
    rest = {name: array for name, array in content.tensors.items() if name != "graph.model"}
    (folder / "bare.blemish").write_bytes(recipe_file.encode(recipe_file.Content(content.header, rest)))
    with pytest.raises(BadRecipe, match=r"bare\.blemish says that it is deployed and holds no graph"):
        load_deployed(folder / "bare.blemish")
    data = bytearray(deployed.read_bytes())
    data[-1] ^= 1
    (folder / "altered.blemish").write_bytes(data)
    with pytest.raises(BadRecipe, match=r"altered\.blemish was altered"):
        load_deployed(folder / "altered.blemish")
