"""Settings and numbers of `train`, `evaluate` and `benchmark` are read back by the trackers' own readers."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

import pytest
from tests.cli.test_evaluate import QUICK, category
from tests.cli.test_inspect import run
from tests.support.made import data_set, plan_file
from tests.support.parts import good
from tests.support.peers_read import peer

from blemish.errors import BadInput, MissingExtra, UnknownName
from blemish.progress import no_progress
from blemish.tracking import AT_ONCE, _MLflow, numbers_of, require_tracker, track_progress

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


@pytest.mark.parametrize(
    ("name", "variable"), [("mlflow", "MLFLOW_TRACKING_URI"), ("wandb", "WANDB_BASE_URL")], ids=["mlflow", "wandb"]
)
def test_a_server_that_does_not_answer_is_one_sentence_before_anything_starts(
    name: str, variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("blemish.tracking.find_spec", lambda name: True)
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv(variable, "http://me:secret@127.0.0.1:9")
    result = run("train", *TRAIN[:2], tmp_path, *TRAIN[2:], "--out", tmp_path / "a.blemish", "--log", name)
    assert result.exit_code == 1
    (line,) = result.output.splitlines()
    assert line.startswith(f"Error: --log {name}: http://127.0.0.1:9 does not answer as it should ([Errno")
    assert line.endswith(f"see that it runs, name another by {variable}, or leave out --log")
    monkeypatch.setenv("WANDB_MODE", "offline")
    require_tracker("wandb")


class NoSuchPage(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


def test_a_server_that_answers_anything_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blemish.tracking.find_spec", lambda name: True)
    with HTTPServer(("127.0.0.1", 0), NoSuchPage) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.server_port}")
        require_tracker("mlflow")
        server.shutdown()


class Away:
    """A client of MLflow whose server is there only while `there`."""

    def __init__(self) -> None:
        self.there, self.params, self.metrics, self.status = False, list[Any](), list[Any](), ""

    def log_batch(self, run: str, params: Sequence[Any] = (), metrics: Sequence[Any] = ()) -> None:
        if not self.there:
            raise ConnectionError("refused")
        self.params += params
        self.metrics += metrics

    def set_terminated(self, run: str, status: str) -> None:
        self.log_batch(run)
        self.status = status


@pytest.fixture
def entities(monkeypatch: pytest.MonkeyPatch) -> None:
    """What MLflow makes of a number and of a setting, where it is not installed."""
    made = ModuleType("mlflow.entities")
    made.Param = made.Metric = lambda *each: each  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mlflow", ModuleType("mlflow"))
    monkeypatch.setitem(sys.modules, "mlflow.entities", made)


@pytest.mark.usefixtures("entities")
def test_a_server_that_is_lost_loses_nothing_if_it_is_back_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    client: Any = Away()
    tracker = _MLflow(client, "1", "http://plant")
    tracker.describe({"method": "tab"})
    for step in range(AT_ONCE + 1):
        tracker.measure({"loss": step}, step)
    assert (client.params, client.metrics) == ([], [])
    client.there = True
    tracker.end("FINISHED")
    assert (client.params, len(client.metrics), client.status) == ([("method", "tab")], AT_ONCE + 1, "FINISHED")
    assert [each.getMessage() for each in caplog.records] == [
        "http://plant does not answer (refused): what this run logs is kept, and handed on at its end"
    ]
    client.there = False
    tracker.end("FINISHED")
    assert "not all that this run logged is there" in caplog.text
    assert tracker.place == ""


def test_what_cannot_be_logged_at_the_end_is_said_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str, title: str) -> None:
        raise BadInput(f"--log {name}: it has gone")

    monkeypatch.setattr("blemish.tracking.find_spec", lambda name: True)
    monkeypatch.setattr("blemish.tracking.open_tracker", refuse)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    words = ("evaluate", category(tmp_path / "steel"), "--layout", "mvtec", *QUICK)
    result = run(*words, "--log", "mlflow")
    assert result.exit_code == 0, result.output
    assert "note: evaluate steel is not logged: --log mlflow: it has gone" in result.stderr
    assert "image_auroc" in result.stdout
