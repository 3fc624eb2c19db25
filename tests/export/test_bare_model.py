"""The bare model in a program that knows nothing of blemish, examples/run_onnx.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.exports import IN_ONE_PROCESS
from tests.support.line import ROOT
from tests.support.parts import frozen, good, part, spots

from blemish.export.deploying import ExportPlan, graph_bytes, plain_model
from blemish.export.exporting import export_recipe
from blemish.images import Inspected
from blemish.inspection import inspect
from blemish.recipes.calibrate import HoldoutScheme, calibrate
from blemish.recipes.detectors import detector
from blemish.recipes.recipe import content_of

EXAMPLE = ROOT / "examples" / "run_onnx.py"
pytestmark = IN_ONE_PROCESS


def test_the_example_gives_the_scores_and_verdicts_of_the_recipe(tmp_path: Path) -> None:
    made = frozen("patchcore", good(tmp_path / "taught", 4))
    recipe = calibrate(made, good(tmp_path / "fresh", 6, first=20), way=HoldoutScheme("split", every_picture=True))
    found = export_recipe(recipe, ExportPlan(check=(tmp_path / "fresh" / "good20.png",))).recipe
    (tmp_path / "bare.onnx").write_bytes(plain_model(found, content_of(found).header, graph_bytes(found)))
    paths = [*good(tmp_path / "later", 2, first=40), *spots(tmp_path, 1), part(tmp_path / "large.png", 3, side=150)]
    words = [sys.executable, str(EXAMPLE), str(tmp_path / "bare.onnx"), *map(str, paths)]
    lines = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    assert recipe.calibration is not None
    for line, result in zip(lines, inspect(detector(recipe), paths), strict=True):
        assert isinstance(result, Inspected)
        name, said = line.split(": ", 1)
        assert name == result.source.id
        assert float(said.split()[0]) == pytest.approx(result.score, rel=1e-4)
        assert said.split()[1].rstrip(",") == recipe.calibration.verdict(result.score)


def test_the_example_is_short_and_needs_onnxruntime_alone() -> None:
    lines = EXAMPLE.read_text().splitlines()
    imports = [line.split()[1] for line in lines if line.startswith(("import ", "from "))]
    assert imports == ["json", "sys", "numpy", "onnxruntime", "PIL"]
    assert len([line for line in lines[5:] if line.strip()]) <= 30
