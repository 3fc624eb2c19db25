"""Settings and numbers of `train`, `evaluate` and `benchmark` are read back by the trackers' own readers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.cli.test_evaluate import QUICK, category
from tests.cli.test_inspect import run
from tests.support.made import data_set, plan_file
from tests.support.parts import good
from tests.support.peers_read import peer

from blemish.errors import MissingExtra, UnknownName
from blemish.progress import no_progress
from blemish.tracking import numbers_of, require_tracker, track_progress

TRAIN = (
    "supersimplenet",
    "--normal",
    "--encoder",
    "test-tiny",
    "--steps",
    2,
    "--batch-size",
    2,
    "--set",
    "image_size=64",
)


class Kept:
    """A tracker in memory."""

    place = "memory"

    def __init__(self) -> None:
        self.told: list[tuple[int, dict[str, float]]] = []

    def describe(self, settings: Mapping[str, Any]) -> None:
        raise AssertionError

    def measure(self, numbers: Mapping[str, float], step: int = 0) -> None:
        self.told.append((step, dict(numbers)))


def test_numbers_have_names_by_their_path() -> None:
    values = {"auroc": {"value": 0.5, "low": 0.25}, "types": {"crack": {"n": 2}}, "none": None, "flag": True, "a": "b"}
    assert numbers_of(values) == {"auroc": 0.5, "auroc/low": 0.25, "types/crack/n": 2.0}


def test_what_is_measured_on_the_way_is_kept_by_step() -> None:
    kept, shown = Kept(), list[str]()

    def watch(stage: str, total: int, done: int = 0, /) -> Any:
        shown.append(stage)
        return no_progress(stage, total, done)

    advance = track_progress(watch, kept)("training", 4, 2)
    advance({"focal": 0.5})
    advance()
    advance({"focal": 0.25})
    assert kept.told == [(3, {"training/focal": 0.5}), (5, {"training/focal": 0.25})]
    assert shown == ["training"]


def test_a_tracker_that_is_missing_is_told_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("blemish.tracking.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="--log mlflow needs mlflow: pip install"):
        require_tracker("mlflow")
    with pytest.raises(UnknownName, match="choose one of mlflow, wandb"):
        require_tracker("nothing")
    result = run("train", *TRAIN[:2], tmp_path, *TRAIN[2:], "--out", tmp_path / "a.blemish", "--log", "wandb")
    assert "pip install 'blemish[wandb]'" in result.output


@pytest.mark.filterwarnings("ignore")
def test_mlflow_reads_what_commands_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = peer("mlflow")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    good(tmp_path / "good", 4)
    logged = ("--log", "mlflow")
    results = [
        run("train", *TRAIN[:2], "good", *TRAIN[2:], "--out", "a.blemish", *logged),
        run("evaluate", category(tmp_path / "steel"), "--layout", "mvtec", *QUICK, *logged),
        run("benchmark", plan_file(data_set(tmp_path, "bolt")), "--out", "table", *logged),
    ]
    assert [each.exit_code for each in results] == [0, 0, 0], [each.output for each in results]
    assert all("logged: sqlite:///" in each.stderr for each in results)
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("blemish").experiment_id])
    found = {each.info.run_name: each for each in runs}
    assert {each.info.status for each in runs} == {"FINISHED"}
    trained = found["train supersimplenet"]
    losses = client.get_metric_history(trained.info.run_id, "training/total")
    assert [each.step for each in losses] == [1, 2]
    assert trained.data.params["schedule/steps"] == "2"
    assert len(trained.data.params["recipe"]) == 64
    assert found["evaluate steel"].data.metrics["image_auroc"] == 1.0
    assert found["evaluate steel"].data.params["method"] == "patchcore"
    assert [each for each in found if each.startswith("benchmark ")]


@pytest.mark.filterwarnings("ignore")
def test_wandb_keeps_what_commands_log_in_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    peer("wandb")
    monkeypatch.chdir(tmp_path)
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    result = run("evaluate", category(tmp_path / "steel"), "--layout", "mvtec", *QUICK, "--log", "wandb")
    assert result.exit_code == 0, result.output
    (file,) = (tmp_path / "wandb").glob("offline-run-*/*.wandb")
    kept = file.read_bytes()  # records that are not compressed; the package has no reader of them any more
    assert all(each in kept for each in (b"image_auroc", b"pixel_ap/low", b"patchcore", b"evaluate steel"))
