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
from ssl import SSLError
from typing import TYPE_CHECKING, Any, Protocol
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from blemish.errors import BadInput, MissingExtra, UnknownName
from blemish.notices import notice
from blemish.progress import NOTHING, Advance, ShowProgress

if TYPE_CHECKING:
    import mlflow
    import wandb

TRACKERS = ("mlflow", "wandb")
SERVERS = {"mlflow": "MLFLOW_TRACKING_URI", "wandb": "WANDB_BASE_URL"}
"""Environment variables that name another server than the usual one."""
PATIENCE = 5.0
"""Seconds that a server may take to answer before anything starts."""
MLFLOWS_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
"""Where its variables do not say otherwise: its own are minutes, in which a run would stand still."""
PROJECT = "blemish"
"""The experiment of MLflow, and the project of W&B."""
AT_ONCE, MOST_PARAMS = 500, 100
"""Numbers, and settings, that MLflow takes together."""
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
    """Raise UnknownName for what is no tracker, MissingExtra for one that is not installed, and BadInput for one whose
    server does not answer.
    """
    if name not in TRACKERS:
        raise UnknownName(f"there is no tracker {name!r}: choose one of {', '.join(TRACKERS)}")
    if find_spec(name) is None:
        raise MissingExtra(f"--log {name} needs {name}: pip install 'blemish[{name}]'")
    server = os.environ.get(SERVERS[name], "") or ("https://api.wandb.ai" if name == "wandb" else "")
    if server.startswith(("http://", "https://")) and (name != "wandb" or _wandb_mode() == "online"):
        with _refusal(name, _plain(server)):
            _reach(_plain(server))


def _reach(server: str) -> None:
    """Raise an error of the network where nothing answers; whatever is answered, somebody is there."""
    try:
        urlopen(Request(server, method="HEAD"), timeout=PATIENCE).close()
    except HTTPError as answer:
        answer.close()
    except URLError as error:
        if not isinstance(error.reason, SSLError):  # whom the tracker trusts is for its own library
            raise


def _plain(server: str) -> str:
    """Without a password."""
    return re.sub(r"(?<=://)[^/@]*@", "", server)


@contextmanager
def _refusal(name: str, place: str) -> Iterator[None]:
    """Raises BadInput, one sentence, for whatever the tracker says meanwhile."""
    try:
        yield
    except Exception as error:  # the trackers' errors have no class in common
        raise BadInput(
            f"--log {name}: {place} does not answer as it should ({_said(error)}): see that it runs, name another by "
            f"{SERVERS[name]}, or leave out --log"
        ) from error


def _said(error: Exception) -> str:
    return " ".join(str(getattr(error, "reason", error)).split())[:200] or type(error).__name__


@contextmanager
def open_tracker(name: str, title: str) -> Iterator[Tracker]:
    """One run of that title by the tracker of that name; an error that leaves the block marks it as failed.

    Raises BadInput where it cannot be begun. A server that is lost later is a notice, and ends nothing.
    """
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
    """A run of MLflow, by its client. What its server does not take is kept, and tried again at the end."""

    def __init__(self, client: mlflow.MlflowClient, run: str, place: str) -> None:
        self._client, self._run, self.place = client, run, place
        self._told, self._waiting, self._lost = list[Any](), list[Any](), False

    def describe(self, settings: Mapping[str, Any]) -> None:
        """As params."""
        from mlflow.entities import Param

        self._told += [Param(_name(key), str(value)[:LONGEST]) for key, value in settings.items()]
        self._go_on()

    def measure(self, numbers: Mapping[str, float], step: int = 0) -> None:
        """As metrics."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._waiting += [Metric(_name(name), value, now, step) for name, value in numbers.items()]
        if len(self._waiting) >= AT_ONCE:
            self._go_on()

    def end(self, status: str) -> None:
        """Hand on what waits, and say how it ended."""
        try:
            self._flush()
            self._client.set_terminated(self._run, status)
        except Exception as error:  # the trackers' errors have no class in common
            notice("%s does not answer (%s): not all that this run logged is there", self.place, _said(error))
            self.place = ""

    def _go_on(self) -> None:
        if self._lost:
            return
        try:
            self._flush()
        except Exception as error:  # as above
            self._lost = True
            said = "%s does not answer (%s): what this run logs is kept, and handed on at its end"
            notice(said, self.place, _said(error))

    def _flush(self) -> None:
        while self._told:
            self._client.log_batch(self._run, params=self._told[:MOST_PARAMS])
            del self._told[:MOST_PARAMS]
        while self._waiting:
            self._client.log_batch(self._run, metrics=self._waiting[:AT_ONCE])
            del self._waiting[:AT_ONCE]


def _name(text: str) -> str:
    """Without what MLflow takes in no name."""
    return re.sub(r"[^\w./ -]", "_", text)


@contextmanager
def _open_mlflow(title: str) -> Iterator[Tracker]:
    for variable, value in MLFLOWS_PATIENCE.items():
        os.environ.setdefault(variable, value)
    from mlflow import MlflowClient

    place = os.environ.get(SERVERS["mlflow"]) or f"sqlite:///{Path('mlflow.db').absolute()}"
    with _refusal("mlflow", _plain(place)):
        client = MlflowClient(tracking_uri=place)
        experiment = client.get_experiment_by_name(PROJECT)
        number = experiment.experiment_id if experiment else client.create_experiment(PROJECT)
        run = client.create_run(number, run_name=title)
    tracker, status = _MLflow(client, run.info.run_id, f"{_plain(place)}, run {run.info.run_id}"), "FAILED"
    try:
        yield tracker
        status = "FINISHED"
    finally:
        tracker.end(status)


class _Wandb:
    """A run of W&B, whose own process keeps files and sends them when its server answers."""

    def __init__(self, run: wandb.Run, place: str) -> None:
        self._run, self.place = run, place

    def describe(self, settings: Mapping[str, Any]) -> None:
        """As its config."""
        with self._notice():
            self._run.config.update({key: str(value)[:LONGEST] for key, value in settings.items()})

    def measure(self, numbers: Mapping[str, float], step: int = 0) -> None:
        """As its history."""
        with self._notice():
            self._run.log(dict(numbers), step=step)

    def end(self, status: int) -> None:
        """Say how it ended."""
        with self._notice():
            self._run.finish(exit_code=status)

    @contextmanager
    def _notice(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # as of MLflow
            notice("W&B does not take what is logged (%s): not all of this run is there", _said(error))
            self.place = ""


def _wandb_mode() -> str:
    return os.environ.get("WANDB_MODE") or ("online" if os.environ.get("WANDB_API_KEY") else "offline")


@contextmanager
def _open_wandb(title: str) -> Iterator[Tracker]:
    import wandb

    mode: Any = _wandb_mode()
    with _refusal("wandb", os.environ.get(SERVERS["wandb"]) or "W&B"):
        settings = wandb.Settings(silent=True)
        run = wandb.init(project=PROJECT, name=title, mode=mode, settings=settings)
        tracker, status = _Wandb(run, str(run.dir) if mode == "offline" else str(run.url)), 1
    try:
        yield tracker
        status = 0
    finally:
        tracker.end(status)
