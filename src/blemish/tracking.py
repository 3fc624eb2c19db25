"""Settings and numbers of what is computed, kept by a tracker of experiments: one small protocol, MLflow and W&B.

Where no server is set they are kept in local files: MLflow's in `mlflow.db` of the working folder (MLFLOW_TRACKING_URI
names another place), W&B's in `wandb`, offline, for `wandb sync` (WANDB_MODE and WANDB_API_KEY say otherwise).
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from blemish.errors import MissingExtra, UnknownName
from blemish.progress import NOTHING, Advance, ShowProgress

if TYPE_CHECKING:
    import mlflow
    import wandb

TRACKERS = ("mlflow", "wandb")
PROJECT = "blemish"
"""The experiment of MLflow, and the project of W&B."""
AT_ONCE = 500
"""Numbers that are handed to MLflow together."""
LONGEST = 500
"""Characters of a setting; MLflow takes no more of old."""


class Tracker(Protocol):
    """Keeps what one run is told of."""

    place: str  # where it is kept, for people

    def describe(self, settings: Mapping[str, Any]) -> None:
        """What was asked for, by name; each name once."""

    def measure(self, numbers: Mapping[str, float], step: int = 0) -> None:
        """Numbers by name, of a step of what is computed."""


def require_tracker(name: str) -> None:
    """Raise UnknownName for what is no tracker, and MissingExtra for one that is not installed."""
    if name not in TRACKERS:
        raise UnknownName(f"there is no tracker {name!r}: choose one of {', '.join(TRACKERS)}")
    if find_spec(name) is None:
        raise MissingExtra(f"--log {name} needs {name}: pip install 'blemish[{name}]'")


@contextmanager
def open_tracker(name: str, title: str) -> Iterator[Tracker]:
    """One run of that title by the tracker of that name; an error that leaves the block marks it as failed."""
    require_tracker(name)
    with (_open_mlflow if name == "mlflow" else _open_wandb)(title) as tracker:
        yield tracker


def numbers_of(values: Mapping[str, Any], before: str = "") -> dict[str, float]:
    """The numbers of nested plain values by their path: {"a": {"value": 1, "low": 0}} -> {"a": 1, "a/low": 0}."""
    found: dict[str, float] = {}
    for key, value in values.items():
        path = before if key == "value" and before else f"{before}/{key}" if before else str(key)
        if isinstance(value, Mapping):
            found |= numbers_of(value, path)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[path] = float(value)
    return found


def track_progress(watch: ShowProgress, tracker: Tracker) -> ShowProgress:
    """Progress whose measured numbers, such as the losses of a step, are handed to the tracker as well."""

    def watching(stage: str, total: int, done: int = 0, /) -> Advance:
        advance, step = watch(stage, total, done), done

        def both(measured: Mapping[str, float] = NOTHING, /) -> None:
            nonlocal step
            step += 1
            if measured:
                tracker.measure({f"{stage}/{name}": value for name, value in measured.items()}, step)
            advance(measured)

        return both

    return watching


class _MLflow:
    """A run of MLflow, by its client: no state of the process is touched."""

    def __init__(self, client: mlflow.MlflowClient, run: str, place: str) -> None:
        self._client, self._run, self.place = client, run, place
        self._waiting: list[Any] = []

    def describe(self, settings: Mapping[str, Any]) -> None:
        """As params."""
        from mlflow.entities import Param

        told = [Param(_name(key), str(value)[:LONGEST]) for key, value in settings.items()]
        self._client.log_batch(self._run, params=told)

    def measure(self, numbers: Mapping[str, float], step: int = 0) -> None:
        """As metrics."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._waiting += [Metric(_name(name), value, now, step) for name, value in numbers.items()]
        if len(self._waiting) >= AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Hand on what waits."""
        while self._waiting:
            self._client.log_batch(self._run, metrics=self._waiting[:AT_ONCE])
            del self._waiting[:AT_ONCE]


def _name(text: str) -> str:
    """Without what MLflow takes in no name."""
    return re.sub(r"[^\w./ -]", "_", text)


@contextmanager
def _open_mlflow(title: str) -> Iterator[Tracker]:
    from mlflow import MlflowClient

    place = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path('mlflow.db').absolute()}"
    client = MlflowClient(tracking_uri=place)
    experiment = client.get_experiment_by_name(PROJECT)
    number = experiment.experiment_id if experiment else client.create_experiment(PROJECT)
    run = client.create_run(number, run_name=title)
    tracker, status = _MLflow(client, run.info.run_id, f"{place}, run {run.info.run_id}"), "FAILED"
    try:
        yield tracker
        status = "FINISHED"
    finally:
        tracker.flush()
        client.set_terminated(run.info.run_id, status)


class _Wandb:
    """A run of W&B."""

    def __init__(self, run: wandb.Run, place: str) -> None:
        self._run, self.place = run, place

    def describe(self, settings: Mapping[str, Any]) -> None:
        """As its config."""
        self._run.config.update({key: str(value)[:LONGEST] for key, value in settings.items()})

    def measure(self, numbers: Mapping[str, float], step: int = 0) -> None:
        """As its history."""
        self._run.log(dict(numbers), step=step)


@contextmanager
def _open_wandb(title: str) -> Iterator[Tracker]:
    import wandb

    mode: Any = os.environ.get("WANDB_MODE") or ("online" if os.environ.get("WANDB_API_KEY") else "offline")
    run = wandb.init(project=PROJECT, name=title, mode=mode, settings=wandb.Settings(silent=True))
    place, status = str(run.dir) if mode == "offline" else str(run.url), 1
    try:
        yield _Wandb(run, place)
        status = 0
    finally:
        run.finish(exit_code=status)
