"""What `pip install 'blemish[runtime]'` brings is enough: from file to verdict in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.structure.source import ROOT
from tests.support.parts import frozen, good, spots

from blemish.calibration.thresholds import Goal
from blemish.cli.main import main
from blemish.export.deploying import ExportPlan
from blemish.export.exporting import export_recipe
from blemish.recipes.calibrate import HoldoutScheme, calibrate
from blemish.recipes.recipe import save


@pytest.mark.slow
def test_an_environment_without_torch_gives_the_verdicts_of_one_with_it(tmp_path: Path) -> None:
    made = frozen("patchcore", good(tmp_path / "taught", 4))
    way, goal = HoldoutScheme("split", every_picture=True), Goal(false_reject=0.2, confidence=0.5, pixel=0.2)
    recipe = calibrate(made, good(tmp_path / "fresh", 8, first=20), goal=goal, way=way)
    save(recipe, tmp_path / "line.blemish")
    save(export_recipe(recipe, ExportPlan()).recipe, tmp_path / "line.deploy.blemish")
    spots(tmp_path / "new", 3)
    good(tmp_path / "new", 3, first=60)
    words = ["inspect", str(tmp_path / "new"), "--out"]
    CliRunner().invoke(main, [*words, str(tmp_path / "here"), "--recipe", str(tmp_path / "line.blemish")])

    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    python = tmp_path / "env/bin/python"
    subprocess.run([python, "-m", "pip", "install", "-q", f"{ROOT.parents[1]}[runtime]"], check=True, env=clean)
    missing = subprocess.run([python, "-c", "import torch"], capture_output=True, text=True, env=clean, check=False)
    assert "No module named 'torch'" in missing.stderr
    there, deployed = str(tmp_path / "there"), str(tmp_path / "line.deploy.blemish")
    command = [str(tmp_path / "env/bin/blemish"), *words, there, "--recipe", deployed]
    assert subprocess.run(command, env=clean, capture_output=True, check=False).returncode == 11
    one, other = (
        [json.loads(line) for line in (tmp_path / name / "results.jsonl").read_text(encoding="utf-8").splitlines()]
        for name in ("here", "there")
    )
    assert [line["verdict"] for line in one] == [line["verdict"] for line in other]
    assert [line["score"] for line in one] == pytest.approx([line["score"] for line in other], abs=1e-5)
