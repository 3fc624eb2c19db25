"""The process of a station: it decodes and judges views, one after the other, and tells the front.

It holds no record. Whatever ends it, the front notices, and says of the parts that were here what became of them.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

import numpy as np

from blemish.errors import BadImage, BlemishError
from blemish.metrics.drift import Drift
from blemish.serve.cameras.camera import Camera
from blemish.serve.cameras.watch import CameraWatch, Intake, Place
from blemish.serve.folder import NewFile, Watch
from blemish.serve.judge import Content, Judge, MakeJudge, array_of
from blemish.serve.keeper import Keeper
from blemish.serve.notify import FolderAlarm
from blemish.serve.settings import StationSettings
from blemish.serve.wire import SWITCH_SECONDS, Message, Wire

LOOK_SECONDS = 0.02
AHEAD = 2
"""Views of a folder, or of a video, that may wait here; the others wait where they are."""
REMEMBERED = 256
"""Parts of which it is known which recipe judges their other views."""


class Ring(NamedTuple):
    """Where pictures are kept."""

    folder: Path
    keep_free: int  # bytes of the disk
    verdicts: Collection[str]  # that are kept at all


class _View(NamedTuple):
    part: str
    view: str
    content: Content | BadImage  # a frame of a camera that has holes is none
    is_array: bool  # bytes of one
    arrived: float  # monotonic
    is_file: bool = False


def run_station(connection: socket.socket, settings: StationSettings, ring: Ring, make: MakeJudge) -> None:
    """What the process does, until the front lets go of the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the front
    sys.setswitchinterval(SWITCH_SECONDS)  # between who judges and who keeps pictures
    _Station(Wire(connection), settings, ring, make).run()


class _Station:
    def __init__(self, wire: Wire, settings: StationSettings, ring: Ring, make: MakeJudge) -> None:
        self.wire, self.settings, self.make = wire, settings, make
        self.queue: SimpleQueue[_View] = SimpleQueue()
        self.keeper = Keeper(ring.folder, ring.keep_free, ring.verdicts, wire.send)
        self.judge: Judge | None = None
        self.drift: Drift | None = None  # of the scores by that recipe
        self.judges: OrderedDict[str, Judge] = OrderedDict()  # of the latest parts
        self.runs = threading.Event()
        self.only: set[str] | None = None  # of a single job, the part that it took once it has
        self.watch = Watch(settings.folder, settings.views) if settings.folder else None
        views = {view for each in settings.cameras for view in each.views}
        self.intake = Intake(views, settings.views_ms / 1000) if views else None

    def run(self) -> None:
        _begin("judge", self._judge_each)
        if self.watch:
            _begin("folder", partial(self._look, self.watch))
        for each in self.settings.cameras:
            assert self.intake
            told = partial(self._tell_camera, each.shown)
            _begin("camera", CameraWatch(each, self.intake, self._take_frame, self._has_room, told).run)
        self.wire.send("up", {})
        handlers: Mapping[str, Callable[[Message], None]] = {
            "view": self._take, "prepare": self._prepare, "run": self._run, "keep": self._keep,
        }  # fmt: skip
        with suppress(EOFError, OSError):
            while True:
                message = self.wire.receive()
                handlers[message.kind](message)

    def _take(self, message: Message) -> None:
        values = message.values
        is_array = bool(values["is_array"])
        self.queue.put(_View(values["part"], values["view"], message.content, is_array, time.monotonic()))

    def _run(self, message: Message) -> None:
        part = message.values["part"]
        self.only = ({part} if part else set()) if message.values["is_single"] else None
        (self.runs.set if message.values["on"] else self.runs.clear)()
        if self.intake:
            self.intake.run(on=message.values["on"], single=part if message.values["is_single"] else None)

    def _keep(self, message: Message) -> None:
        self.keeper.verdicts = set(message.values["verdicts"])

    def _prepare(self, message: Message) -> None:
        """Beside the recipe that is used meanwhile."""
        _begin("load", partial(self._load, message.values))

    def _load(self, values: Mapping[str, Any]) -> None:
        said = {"recipe": values["recipe"]}
        try:
            judge = self.make(Path(values["path"]), self.settings.max_pixels)
            with suppress(BadImage):  # one that is to be of a certain size
                judge.judge(np.full((256, 256, 3), 128, np.uint8), "warming up")
        except BlemishError as error:
            self.wire.send("refused", {**said, "reason": str(error)})
        else:
            is_alike = len(self.settings.views) == 1  # calibrations score whole parts
            self.drift = Drift(judge.good) if judge.good and is_alike else None
            self.judge = judge
            self.wire.send("prepared", {**said, "hash": judge.hash})

    def _look(self, watch: Watch) -> None:
        watch.settings.path.mkdir(parents=True, exist_ok=True)
        alarm = FolderAlarm(watch.settings.path)
        while True:
            if self.runs.wait() and self.queue.qsize() < AHEAD:
                for found in watch.look(self._is_wanted):
                    self._take_file(found)
            alarm.wait(LOOK_SECONDS)

    def _is_wanted(self, part: str) -> bool:
        """Whether a part may be taken now."""
        only = self.only
        if only is not None and not only:
            only.add(part)
        return self.runs.is_set() and (only is None or part in only)

    def _take_file(self, found: NewFile) -> None:
        try:
            content = found.path.read_bytes()
        except OSError:
            return  # gone meanwhile
        name = {"part": found.part, "view": found.view, "file": found.path.name}
        self.wire.send("arrived", name)
        is_array = found.path.suffix.lower() == ".npy"
        self.queue.put(_View(found.part, found.view, content, is_array, time.monotonic(), is_file=True))
        while self.queue.qsize() >= AHEAD:
            time.sleep(LOOK_SECONDS / 4)

    def _take_frame(self, place: Place, camera: Camera) -> None:
        """Of what is one too many it is told at once, so that it has its record too."""
        name = {"part": place.part, "view": place.view}
        self.wire.send("arrived", {**name, "file": "", "at": time.time()})
        waiting = self.queue.qsize()
        if waiting >= self.settings.queue:
            self.wire.send("missed", {**name, "reason": f"{waiting} views waited when it came, and no more may"})
            return
        content: Content | BadImage
        try:
            content = camera.frame()
        except BadImage as error:
            content = error
        self.queue.put(_View(*place, content, is_array=False, arrived=time.monotonic()))

    def _has_room(self) -> bool:
        return self.queue.qsize() < AHEAD

    def _tell_camera(self, camera: str, reason: str) -> None:
        self.wire.send("camera", {"camera": camera, "reason": reason})

    def _judge_each(self) -> None:
        while True:
            self._judge(self.queue.get())

    def _judge(self, view: _View) -> None:
        judge, start = self._judge_of(view.part), time.monotonic()
        said = {"part": view.part, "view": view.view, "recipe": judge.hash, "digest": digest_of(view.content)}
        name = f"part {view.part}, view {view.view}"
        if view.is_file:
            self.wire.send("begun", {"part": view.part})
        try:
            content = self._content_of(view, name)
            found = judge.judge(content, name)
        except BadImage as error:
            self.wire.send("unreadable", {**said, "error": str(error)})
            return
        seconds = {"wait": start - view.arrived, **found.seconds, "station": time.monotonic() - view.arrived}
        score = found.score if math.isfinite(found.score) else None
        told: dict[str, Any] = {"score": score, "verdict": found.verdict, "regions": list(found.regions)}
        told |= {"types": list(found.types), "size": list(found.size), "seconds": seconds}
        self.wire.send("judged", said | told)
        self._watch_scores(judge, score)
        self.keeper.add(view.part, view.view, content, found)

    def _content_of(self, view: _View, name: str) -> Content:
        """Raises BadImage."""
        if isinstance(view.content, BadImage):
            raise BadImage(f"{name}: {view.content}")
        if view.is_array and isinstance(view.content, bytes):
            return array_of(view.content, name, self.settings.max_pixels)
        return view.content

    def _watch_scores(self, judge: Judge, score: float | None) -> None:
        """Tell when they are no longer those of the calibration."""
        drift = self.drift
        if drift and judge is self.judge and score is not None and not drift.alarm and drift.add(score):
            self.wire.send("drifted", {"change": drift.change, "after": drift.seen})

    def _judge_of(self, part: str) -> Judge:
        """The recipe that a part's first view met; recipes change between parts."""
        if part not in self.judges:
            assert self.judge is not None  # nothing arrives before one is ready
            self.judges[part] = self.judge
            while len(self.judges) > REMEMBERED:
                self.judges.popitem(last=False)
        return self.judges[part]


def _begin(name: str, target: Callable[[], None]) -> None:
    """A thread whose failure ends the process: the front then starts it again, and says so."""

    def guarded() -> None:
        try:
            target()
        except OSError:
            return  # the front has ended, and so will this process
        except BaseException:
            traceback.print_exc()
            os._exit(1)

    threading.Thread(target=guarded, name=f"blemish-{name}", daemon=True).start()


def digest_of(content: object) -> str:
    """Of a view's bytes: by it the same view is known again; "" of a camera's, which sends none twice."""
    return sha256(content).hexdigest() if isinstance(content, bytes) else ""
