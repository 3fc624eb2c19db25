"""The cameras of a station: which part each picture shows, and a thread that follows each."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple

from blemish.serve.cameras.camera import Camera, CameraEnd, CameraLost, open_camera
from blemish.serve.cameras.options import CameraSettings
from blemish.serve.records import count_ids

FIRST_WAIT, LONGEST_WAIT = 0.5, 10.0
"""Seconds before a camera that was lost is looked for, doubled each time that it is not found."""


class Place(NamedTuple):
    """Of a picture."""

    part: str
    view: str


@dataclass(slots=True)
class _Begun:
    part: str
    left: set[str]  # views
    until: float


class Intake:
    """Of one station: groups the pictures of its cameras to parts, each within `seconds` of its first.

    A view belongs to the oldest part that lacks it. So where parts follow one another in less than those seconds, a
    picture that a camera lost shifts its next ones.
    """

    def __init__(self, views: set[str], seconds: float) -> None:
        self._views, self._seconds = views, seconds
        self._condition = threading.Condition()
        self._runs, self._single = False, False
        self._name = ""  # of the part of a single job
        self._begun: deque[_Begun] = deque()
        self._ids = count_ids()

    def run(self, *, on: bool, single: str | None) -> None:
        """Whether pictures are wanted; single: of one part alone, with this id, or "" for the next one."""
        with self._condition:
            self._runs, self._single, self._name = on, single is not None, single or ""
            self._begun.clear()
            self._condition.notify_all()

    def wait(self) -> None:
        """Until pictures are wanted."""
        with self._condition:
            self._condition.wait_for(self._is_wanted)

    def _is_wanted(self) -> bool:
        return self._runs and not (self._single and self._begun and not self._begun[-1].left)

    def place(self, views: tuple[str, ...], now: float) -> Place | None:
        """Of a camera's picture; None where it is not wanted."""
        with self._condition:
            if not self._is_wanted():
                return None
            if not self._single:
                self._begun = deque(each for each in self._begun if each.left and now <= each.until)
            lacks = ((each, view) for each in self._begun for view in views if view in each.left)
            found, view = next(lacks, (None, views[0]))
            if found is None:
                if self._single and self._begun:
                    return None
                found = _Begun(self._name or next(self._ids), set(self._views), now + self._seconds)
                self._begun.append(found)
            found.left.discard(view)
            return Place(found.part, view)


class CameraWatch:
    """Follows a camera for ever; `take` gets each picture that is wanted as one that can be copied."""

    def __init__(
        self,
        settings: CameraSettings,
        intake: Intake,
        take: Callable[[Place, Camera], None],
        has_room: Callable[[], bool],
        told: Callable[[str], None],
    ) -> None:
        self.settings, self.intake, self._take, self._has_room, self._told = settings, intake, take, has_room, told
        self._due = 0.0  # when the next picture is to be taken

    def run(self) -> None:
        """Until a file has ended; what is lost is opened again. `told` hears why there are no pictures, or ""."""
        wait = FIRST_WAIT
        while True:
            start = time.monotonic()
            try:
                self._follow()
            except CameraEnd as end:
                self._told(str(end))
                return
            except CameraLost as lost:
                self._told(str(lost))
            wait = FIRST_WAIT if time.monotonic() - start > LONGEST_WAIT else wait
            time.sleep(wait)
            wait = min(LONGEST_WAIT, 2 * wait)

    def _follow(self) -> None:
        """Until it is lost, or ends."""
        with closing(open_camera(self.settings)) as camera:
            self._told("")
            while True:
                self._look(camera)

    def _look(self, camera: Camera) -> None:
        asks = self.settings.trigger or not self.settings.is_live  # the others come whether they are wanted or not
        if asks:
            self.intake.wait()
            while not self._has_room():
                time.sleep(0.005)
            time.sleep(max(0.0, self._due - time.monotonic()))
        if self.settings.trigger:
            camera.trigger()
        if not camera.grab():
            return
        now = time.monotonic()
        if now >= self._due and (place := self.intake.place(self.settings.views, now)):
            pause = self.settings.interval_ms / 1000
            self._due = self._due + pause if self._due + pause > now else now + pause
            self._take(place, camera)
