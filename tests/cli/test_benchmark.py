from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.cli.test_inspect import run
from tests.structure.test_surface import loaded_after
from tests.support.made import PLAN, data_set, here, plan_file

from blemish.benchmark import running
from blemish.benchmark.plan import read, trials
from blemish.evaluation import evaluate as evaluation


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials in this process: others take seconds to start."""
    monkeypatch.setattr(running, "measure_in_process", here)


TIMES = ("images_per_second", "peak_mib")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def timeless(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in TIMES} for row in found["rows"]]


def test_a_plan_becomes_a_table_and_a_second_run_measures_nothing(tmp_path: Path) -> None:
    plan, out = plan_file(data_set(tmp_path, "bolt", masks=True)), tmp_path / "out"
    first = run("benchmark", plan, "--out", out, "--format", "json")
    assert first.exit_code == 0, first.output
    found = json.loads(first.stdout)
    assert [(row["category"], row["type"]) for row in found["rows"]] == [
        ("bolt", ""),
        ("bolt", "spot"),
        ("bolt", "stain"),
    ]
    whole = found["rows"][0]
    expected = [evaluation.run_trial(each.trial).as_json() for each in trials(read(plan))]
    for metric in evaluation.METRICS:
        assert whole[metric]["value"] == pytest.approx(sum(each[metric]["value"] for each in expected) / 2)
    assert whole["images_per_second"]["value"] > 0
    assert (whole["seeds"], whole["shots"], whole["picked_on_test"]) == (2, 2, "no")
    assert found["notes"][0].startswith("test-tiny has random weights")
    assert "note: test-tiny has random weights" in first.stderr
    assert len(re.findall(r"of 2: patchcore, test-tiny, parts/bolt, 2 shots, seed [01]: ", first.stderr)) == 2
    assert len(lines(out / "results.jsonl")) == len(list((out / "scores").iterdir())) == 2
    written = (out / "results.jsonl").read_bytes()
    second = run("benchmark", plan, "--out", out)
    assert second.exit_code == 0
    assert second.stdout == (out / "table.md").read_text(encoding="utf-8")
    assert json.loads((out / "table.json").read_text(encoding="utf-8")) == found
    assert (out / "results.jsonl").read_bytes() == written
    assert "of 2: " not in second.stderr
    third = run("benchmark", plan, "--out", out, "--format", "csv")
    assert third.stdout == (out / "table.csv").read_text(encoding="utf-8")
    assert len(list(csv.DictReader(io.StringIO(third.stdout)))) == 3


@pytest.mark.usefixtures("quick")
def test_trials_that_fail_are_listed_and_the_exit_status_tells(tmp_path: Path) -> None:
    plan = plan_file(data_set(tmp_path, "bolt"), PLAN.replace("[2]", "[2, 50]").replace("[0, 1]", "[0]"))
    result = run("benchmark", plan, "--out", tmp_path / "out", "--format", "json")
    assert result.exit_code == 3
    (failed,) = json.loads(result.stdout)["failed"]
    assert failed["shots"] == 50
    assert failed["error"].startswith("50 shots were asked for but there are 6 good samples")
    assert f"failed: {failed['error']}" in result.stderr
    assert failed["error"] in (tmp_path / "out" / "table.md").read_text(encoding="utf-8")


@pytest.mark.usefixtures("quick")
def test_when_nothing_can_be_measured_that_is_a_failure(tmp_path: Path) -> None:
    plan = plan_file(data_set(tmp_path, "bolt"), PLAN.replace("test-tiny", "none.safetensors"))
    result = run("benchmark", plan, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "no trial could be measured" in result.stderr
    assert "none.safetensors" in result.stderr


@pytest.mark.usefixtures("quick")
def test_pictures_that_cannot_be_read_show_in_the_exit_status(tmp_path: Path) -> None:
    plan = plan_file(data_set(tmp_path, "bolt"), PLAN.replace("[0, 1]", "[0]"))
    (tmp_path / "parts/bolt/test/spot/0.png").write_bytes(b"GIF89a")
    result = run("benchmark", plan, "--out", tmp_path / "out")
    assert result.exit_code == 3
    assert "note: parts bolt: not inspected: " in result.stderr


def test_a_mistake_in_the_plan_is_one_line(tmp_path: Path) -> None:
    plan = plan_file(data_set(tmp_path, "bolt"), "shotz = [1]\n" + PLAN)
    result = run("benchmark", plan, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr == f"Error: {plan}: shotz: there is no such key; did you mean shots?\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("quick")
def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    plan = plan_file(data_set(tmp_path, "bolt"), PLAN.replace("[2]", "[0, 50]"))
    result = run("benchmark", plan, "--out", tmp_path / "out")
    assert "left out: patchcore is not measured with 0 shots: it learns from good parts" in result.stderr


def test_asking_for_help_does_not_load_torch() -> None:
    loaded = loaded_after("from blemish.cli.main import main\nmain(['benchmark', '--help'], standalone_mode=False)")
    assert "click" in loaded
    assert not loaded & {"torch", "numpy", "scipy"}


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_stopped_goes_on_and_ends_with_the_same_table(tmp_path: Path, how: signal.Signals) -> None:
    plan = plan_file(data_set(tmp_path), PLAN.replace("[0, 1]", "[0, 1, 2]"))
    whole = run("benchmark", plan, "--out", tmp_path / "whole", "--format", "json")
    out = tmp_path / "stopped"
    command = [
        sys.executable,
        "-c",
        "from blemish.cli.main import main; main()",
        "benchmark",
        str(plan),
        "--out",
        str(out),
    ]
    paths = os.pathsep.join([str(Path(evaluation.__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths}, stderr=subprocess.PIPE) as process:
        until = time.monotonic() + 300
        while not ((out / "results.jsonl").is_file() and lines(out / "results.jsonl")) and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(how)
    kept = len(lines(out / "results.jsonl"))
    assert 1 <= kept < 6
    rest = run("benchmark", plan, "--out", out, "--format", "json")
    assert rest.exit_code == 0
    assert len(re.findall(r"^\d of 6: ", rest.stderr, re.MULTILINE)) == 6 - kept
    assert timeless(json.loads(rest.stdout)) == timeless(json.loads(whole.stdout))
