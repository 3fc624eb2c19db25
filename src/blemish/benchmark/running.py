"""Trials one after the other, each in a process of its own, and what they leave behind: a run can be gone on with."""

from __future__ import annotations

import json
import multiprocessing
import signal
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from hashlib import sha256
from itertools import chain
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch

from blemish import catalog, data, encoders
from blemish.benchmark.plan import PlannedTrial
from blemish.benchmark.trial import Measured, measure, peak_memory
from blemish.data.masks import check_fit
from blemish.devices import device_of_name
from blemish.encoders import Precision
from blemish.errors import BlemishError
from blemish.evaluation.evaluate import Trial, training_samples
from blemish.evaluation.labelled_types import defects_of
from blemish.files import JsonLines, json_lines, write
from blemish.fitting import make_detector
from blemish.notices import silence
from blemish.progress import NOTHING, Advance, ShowProgress, no_progress
from blemish.recipes.detectors import detector, encoders_of
from blemish.recipes.recipe import ENCODER, load
from blemish.types import Encoder
from blemish.version import VERSION

GO_ON = "make room, and go on by the same command"


class Failure(NamedTuple):
    """Why something could not be done."""

    error: str


class Finished(NamedTuple):
    """A trial that was measured."""

    planned: PlannedTrial
    key: dict[str, Any]  # everything that decides the outcome
    outcome: dict[str, Any]  # see `Measured`
    kept: bool  # by an earlier run


class Failed(NamedTuple):
    """A trial that could not be measured, and why."""

    planned: PlannedTrial
    error: str


Attempt = Callable[[PlannedTrial, ShowProgress], Measured | Failure]
AttemptAll = Callable[[Sequence[PlannedTrial]], Iterator[tuple[int, Measured | Failure]]]
"""attempt_all(trials) -> the number of each and what came of it, in any order."""


def run_trials(
    trials: Sequence[PlannedTrial],
    folder: Path,
    *,
    watch: ShowProgress = no_progress,
    attempt: Attempt | None = None,
    attempt_all: AttemptAll | None = None,
) -> Iterator[Finished | Failed]:
    """One result a trial: those that `folder` holds from an earlier run first, then those of which it is known before
    any is tried that they cannot be, then the others as they finish.

    `results.jsonl` gets a line for each trial that is measured, `scores/` its scores, `failed.jsonl` the others, which
    the next run tries again. A run may be interrupted at any time: the same call goes on. By default each trial runs in
    a process of its own, so that one that crashes or runs out of memory fails alone; `attempt_all` has several at once.
    """
    folder.mkdir(parents=True, exist_ok=True)
    results = Results(folder / "results.jsonl")
    todo = []
    for planned, key in list(zip(trials, keys(trials), strict=True)):
        before = None if isinstance(key, Failure) else results.found(key)
        if before is None:
            todo.append((planned, key))
        elif not isinstance(key, Failure):
            yield Finished(planned, key, before, kept=True)
    able = [(planned, key) for planned, key in todo if not isinstance(key, Failure)]
    unable = ((planned, None, key) for planned, key in todo if isinstance(key, Failure))
    tried = (attempt_all or partial(_one_by_one, attempt or measure_in_process, watch))([each for each, _ in able])
    with JsonLines(folder / "failed.jsonl", fresh=True, way_out=GO_ON) as failures:
        for planned, known, found in chain(unable, ((*able[number], found) for number, found in tried)):
            if isinstance(found, Measured) and known:
                results.add(known, found)
                yield Finished(planned, known, found.outcome, kept=False)
            elif isinstance(found, Failure):
                failures.add(planned.asked() | {"error": found.error})
                yield Failed(planned, found.error)


def _one_by_one(
    attempt: Attempt, watch: ShowProgress, trials: Sequence[PlannedTrial]
) -> Iterator[tuple[int, Measured | Failure]]:
    return ((number, attempt(planned, watch)) for number, planned in enumerate(trials))


def keys(trials: Sequence[PlannedTrial]) -> Iterator[dict[str, Any] | Failure]:
    """Everything that decides the outcome of each trial, or why there can be none.

    Encoders count by sha256 and by the precision they come to, pictures by name, label and size.
    """
    seen, listed, learned = cache(_seen), cache(_listed), cache(_learned)
    wishes: dict[Any, dict[_Wish, None]] = defaultdict(dict)
    for planned in trials:
        if planned.recipe is None:
            wishes[planned.trial.encoder, planned.precision][_made_of(planned)] = None
    for planned in trials:
        trial = planned.trial
        if planned.recipe:
            yield _key_of_recipe(planned, planned.recipe, listed)
            continue
        try:
            assert isinstance(trial.encoder, str)
            device = str(device_of_name(planned.device))
            encoder = seen(trial.encoder, planned.precision, tuple(wishes[trial.encoder, planned.precision]))
            pictures = listed(trial.root, trial.layout, trial.category)
            learned(trial.root, trial.layout, trial.category, trial.shots, trial.method in catalog.CLASSIFIERS)
        except BlemishError as error:
            yield Failure(str(error))
            continue
        if why := encoder.refused[_made_of(planned)]:
            yield Failure(why)
        else:
            yield planned.asked() | encoder.said | {"pictures": pictures, "device": device, "blemish": VERSION}


def _key_of_recipe(
    planned: PlannedTrial, path: Path, listed: Callable[[Path, str | None, str | None], str]
) -> dict[str, Any] | Failure:
    trial = planned.trial
    try:
        recipe, device = load(path), str(device_of_name(planned.device))
        said = {"recipe": recipe.hash, "encoder_sha256": recipe.encoders[ENCODER].sha256}
        pictures = listed(trial.root, trial.layout, trial.category)
        detector(recipe, encoders_of(recipe, cast(str, trial.encoder)))
    except BlemishError as error:
        return Failure(str(error))
    return planned.asked() | said | {"pictures": pictures, "device": device, "blemish": VERSION}


class _Wish(NamedTuple):
    """What decides whether a method can be made of an encoder."""

    method: str
    arguments: str  # as JSON
    product: str
    good: bool


class _Seen(NamedTuple):
    """An encoder's sum, the precision that "auto" comes to on this machine, and why it does not do for a method."""

    said: dict[str, str]
    refused: dict[_Wish, str]


def _made_of(planned: PlannedTrial) -> _Wish:
    trial = planned.trial
    return _Wish(trial.method, json.dumps(dict(trial.arguments)), trial.part, trial.shots != 0)


def _seen(encoder: str, precision: Precision, wishes: tuple[_Wish, ...]) -> _Seen:
    loaded = encoders.load(encoder, precision=precision)
    assert isinstance(loaded, torch.nn.Module)
    halved = any(parameter.dtype == torch.bfloat16 for parameter in loaded.parameters())
    said = {"encoder_sha256": loaded.sha256, "precision": "bfloat16" if halved else "float32"}
    return _Seen(said, {wish: _refusal(loaded, wish) for wish in wishes})


def _refusal(encoder: Encoder, wish: _Wish) -> str:
    """Why there is no such detector, "" where there is one."""
    arguments = json.loads(wish.arguments)
    try:
        if wish.method in catalog.CLASSIFIERS:
            catalog.classifier(wish.method, encoder, ("one", "other"), arguments)
            return ""
        make_detector(wish.method, encoder, product=wish.product, good=wish.good, arguments=arguments)
    except BlemishError as error:
        return str(error)
    except (TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _learned(root: Path, layout: str | None, category: str | None, k: int | None, types: bool) -> None:
    with silence():
        if types:
            defects_of(root, layout=layout, category=category)
            return
        training_samples(Trial(root, layout, category, "", "", shots=k))


def _listed(root: Path, layout: str | None, category: str | None) -> str:
    """A sum over the pictures of both splits that does not depend on where the data set lies; their masks must fit."""
    total = sha256()
    for split in data.SPLITS:
        with silence():  # each trial lists them again
            samples = data.samples(root, layout=layout, category=category, split=split)
        check_fit((sample.masks, sample.image) for sample in samples)
        for sample in samples:
            files = [(path.parts[-3:], path.stat().st_size) for path in (sample.image, *sample.masks)]
            total.update(repr((split, sample.label, files)).encode())
    return total.hexdigest()[:16]


class Results:
    """A file of one line a trial that was measured."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, dict[str, Any]] = {}
        self._read()

    def found(self, key: dict[str, Any]) -> dict[str, Any] | None:
        """The outcome of a trial that was measured before."""
        return self._known.get(_id(key))

    def add(self, key: dict[str, Any], measured: Measured) -> None:
        """Write the scores, then the line: whatever has a line is complete."""
        name = _id(key)
        scores = self.path.parent / "scores" / f"{name}.jsonl"
        write(scores, "".join(json.dumps(line) + "\n" for line in measured.scores))
        with JsonLines(self.path, way_out=GO_ON) as file:
            file.add({"id": name, "key": key, "outcome": measured.outcome})
        self._known[name] = measured.outcome

    def _read(self) -> None:
        way_out = "remove it, or name another --out"
        for line in json_lines(self.path, ("key", "outcome"), way_out=way_out):
            self._known[_id(line["key"])] = line["outcome"]


def _id(key: dict[str, Any]) -> str:
    return sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]


class _Stage(NamedTuple):
    """What a trial's process begins to do, with how many pictures."""

    name: str
    total: int


def measure_in_process(planned: PlannedTrial, watch: ShowProgress) -> Measured | Failure:
    """Measure in a new process; its outcome also has `peak_bytes`, the most memory that this process held."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(there, planned, torch.get_num_threads()), daemon=True)
    process.start()
    there.close()
    try:
        found = _followed(here, watch)
        process.join(60)
        return found or Failure(_ending(process.exitcode))
    finally:
        process.kill()
        process.join()
        here.close()


def _measure(connection: Connection, planned: PlannedTrial, threads: int) -> None:
    """What the new process does; here every error becomes a message, since the other trials go on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that waits for this one
    torch.set_num_threads(threads)

    def watch(stage: str, total: int, done: int = 0, /) -> Advance:
        connection.send(_Stage(stage, total))
        return lambda measured=NOTHING: connection.send(None)  # a picture of that stage is done

    try:
        found = measure(planned, watch)
    except BlemishError as error:
        connection.send(Failure(str(error)))
    except Exception as error:
        connection.send(Failure(f"{type(error).__name__}: {error}"))
    else:
        connection.send(found._replace(outcome=found.outcome | {"peak_bytes": peak_memory()}))


def _followed(connection: Connection, watch: ShowProgress) -> Measured | Failure | None:
    """Pass progress on until the outcome comes; None when the process ends without one."""
    advance = None
    while True:
        try:
            message = connection.recv()
        except EOFError:
            return None
        if isinstance(message, Measured | Failure):
            return message
        if isinstance(message, _Stage):
            advance = watch(message.name, message.total)
        elif advance:
            advance()


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        return f"its process was ended by {name}, as happens when memory runs out: try it alone, or with fewer shots"
    return f"its process ended with exit status {code} and said nothing"
