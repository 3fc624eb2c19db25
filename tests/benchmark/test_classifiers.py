"""A plan that measures classifiers."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.support.defects import draw_defects
from tests.support.made import here

from blemish.benchmark import running
from blemish.benchmark.plan import read, trials
from blemish.cli.main import main
from blemish.encoders import TINY
from blemish.errors import BadInput
from blemish.evaluation.types_of_defects import TypesTrial, run_types_trial

PLAN = """
encoders = ["{encoder}"]
shots = [0, 2]

[[classifiers]]
name = "ridge"

[[classifiers]]
name = "words"

[[data]]
root = "parts"
"""


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    draw_defects(tmp_path / "parts", 6)
    (tmp_path / "plan.toml").write_text(PLAN.format(encoder=TINY), encoding="utf-8")
    return tmp_path / "plan.toml"


def test_each_classifier_is_measured_where_its_shots_suit(plan: Path) -> None:
    asked = [(each.trial.method, each.trial.shots) for each in trials(read(plan))]
    assert asked == [("words", 0), ("ridge", 2)]


def test_the_table_has_how_often_defects_are_named_right(plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "measure_in_process", here)  # another process takes seconds to start
    out = plan.parent / "out"
    found = CliRunner().invoke(main, ["benchmark", str(plan), "--out", str(out)])
    assert found.exit_code == 0, found.output
    rows = json.loads((out / "table.json").read_text())["rows"]
    named = {row["method"]: row["named_right"]["value"] for row in rows}
    assert set(named) == {"ridge", "words"}
    assert named["ridge"] > 0.5
    assert "named_right" in (out / "table.md").read_text()


def test_a_table_says_where_there_are_fewer_examples_than_shots(plan: Path) -> None:
    draw = plan.parent / "parts"
    few = TypesTrial(draw, "ridge", TINY, shots=99)
    notes = run_types_trial(few).notes
    assert any("99 examples of each type asked for" in said and "so there are 3 of " in said for said in notes), notes
    assert run_types_trial(replace(few, shots=3)).notes == ()


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('name = "ridge"', 'name = "patchcor"', "classifiers[0].name: 'patchcor' will not do"),
        ('name = "ridge"', 'name = "patchcore"', "patchcore is one of the methods: put it under [[methods]]"),
        ('[[classifiers]]\nname = "ridge"', '[[methods]]\nname = "ridge"', "put it under [[classifiers]]"),
        ('name = "ridge"', 'name = "ridge"\narguments = { colour = 1 }', "there is no such key"),
        ("shots = [0, 2]", "shots = [0]", "ridge, learns from labelled defects: add shots that suit"),
    ],
)
def test_what_does_not_fit_is_refused(plan: Path, old: str, new: str, sentence: str) -> None:
    plan.write_text(plan.read_text().replace(old, new))
    with pytest.raises(BadInput, match=re.escape(sentence)):
        read(plan)
