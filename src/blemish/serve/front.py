"""The line as the front process sees it: its stations, their states, their parts, the store, who listens.

Everything here runs in the event loop's thread.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection

from blemish.errors import CannotWrite, UnknownName
from blemish.serve.audit import note_act
from blemish.serve.desk import Conflict, OpenPart
from blemish.serve.doors.connector import Connectors
from blemish.serve.events import Broker
from blemish.serve.judge import MakeJudge
from blemish.serve.metrics import LineMetrics
from blemish.serve.queries import find_part
from blemish.serve.records import PartRecord
from blemish.serve.retention import keeping_of, kept_verdicts, put_retention, read_retention
from blemish.serve.ring import find_excess, forget_pictures, kept_bytes, sweep
from blemish.serve.settings import LineSettings
from blemish.serve.states import Command
from blemish.serve.station import Ring, digest_of
from blemish.serve.stations import Station
from blemish.serve.store import Store

TEND_SECONDS = 30.0
MOST_BEHIND, CATCH_UP_SECONDS = 400, 0.02
PATIENCE = 5.0
"""Seconds after its budget at which a part without an answer is one whose record cannot be written."""


ProposeFile = Callable[[Station, str, Path, str], Coroutine[Any, Any, int]]
"""A station, the name of one of its recipes, a file that is to take its place and is taken, and who says so."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said of a view that was sent."""

    record: PartRecord | None  # None: other views are waited for
    missing: tuple[str, ...] = ()
    repeated: bool = False  # it had been sent, and answered, before


class Front:
    """Start it in a running event loop."""

    def __init__(self, settings: LineSettings, store: Store, make: MakeJudge) -> None:
        self.settings, self.store, self.make = settings, store, make
        with store.read() as connection:
            self.retention = read_retention(connection, settings.store.retention)
        folder = settings.store.folder.absolute() / "pictures"
        self.ring = Ring(folder, settings.store.keep_free, kept_verdicts(self.retention))
        self.metrics, self.broker = LineMetrics(), Broker()
        self.alarms: dict[str, str] = {}
        self.stations = {each.name: Station(each, self) for each in settings.stations}
        self.connectors = Connectors(settings.connectors, self)
        self.propose_file: ProposeFile | None = None  # a recipe that came through a door
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Start every station."""
        self.store.change(lambda connection: sweep(connection, self.ring.folder))
        for station in self.stations.values():
            self.metrics.set_state(station.settings.name, station.state)
            self.run(station.follow())
            station.start()
        self.connectors.start()
        self.run(self._tend())

    def end(self) -> None:
        """Stop every station; what is open is recorded as not inspected."""
        self.broker.close()
        for station in self.stations.values():
            station.end("the line was stopped")
        for task in self._tasks:
            task.cancel()

    def station(self, name: str) -> Station:
        """Raises UnknownName."""
        if name not in self.stations:
            raise UnknownName(f"there is no station {name}: {', '.join(self.stations)}")
        return self.stations[name]

    async def inspect(
        self, station: Station, part: str, view: str, content: bytes, *, is_array: bool, product: str, batch: str
    ) -> Answer:
        """Send a view, and wait for the part's record if it is the last one; raises what `Station.send_view` does."""
        if view not in station.settings.views:
            raise UnknownName(f"{station.settings.name} has no view {view}: {', '.join(station.settings.views)}")
        if before := await self.recorded(station, part):
            if before.views.get(view, {}).get("digest", "") not in ("", digest_of(content)):
                raise Conflict(f"part {part} has a record already, and another picture: give each part its own id")
            return Answer(before, repeated=True)
        found = station.send_view(part, view, content, is_array=is_array, product=product, batch=batch)
        missing = tuple(each for each in station.settings.views if each not in found.begun)
        return Answer(None, missing) if missing else Answer(await self._answer(station, found))

    async def let_store_catch_up(self) -> None:
        """Whoever sends waits a moment where records come faster than they are written."""
        if self.store.behind > MOST_BEHIND:
            await asyncio.sleep(CATCH_UP_SECONDS)

    async def recorded(self, station: Station, part: str) -> PartRecord | None:
        """The record of a part, if it has one and it was reported."""
        if part not in station.desk.recent:
            if self.store.lacks(station.settings.name, part):
                return None
            found = await self.look_up(lambda connection: find_part(connection, station.settings.name, part))
            if part not in station.desk.recent:
                return cast(PartRecord | None, found)
        known = station.desk.recent[part]
        await self._answer(station, known)
        return known.record

    async def _answer(self, station: Station, found: OpenPart) -> PartRecord:
        """When it is there; raises CannotWrite where a durable store cannot write it."""
        try:
            return await asyncio.wait_for(asyncio.shield(found.answer), station.settings.budget_ms / 1000 + PATIENCE)
        except TimeoutError as error:
            raise CannotWrite(self.store.alarm or f"part {found.part} has no record: look at the station") from error

    async def obey(
        self, who: str, station: Station, command: Command, recipe: str = "", *, part: str = "", product: str = ""
    ) -> None:
        """Do what a door asks for, and note it in the audit; raises what `Station.command` does."""
        before = station.hash
        if part and (command != "start_single" or await self.recorded(station, part)):
            raise Conflict(f"part {part[:128]} has a record already, or no single job is asked for: give another id")
        await station.command(command, recipe, part=part, product=product)
        await self.act(who, command, station.settings.name, old=before, new=station.hash)

    async def look_up(self, look: Callable[[Connection], Any]) -> Any:
        """Ask the store, in a thread."""

        def asked() -> Any:
            with self.store.read() as connection:
                return look(connection)

        return await asyncio.to_thread(asked)

    async def act(self, who: str, what: str, subject: str, *, old: str = "", new: str = "") -> None:
        """Note in the audit who did what."""
        work = self.store.change(
            lambda connection: note_act(connection, who=who, what=what, subject=subject, old=old, new=new)
        )
        await asyncio.wrap_future(work)

    def alarm(self, subject: str, said: str) -> None:
        """Raise an alarm, or end it by ""."""
        if self.alarms.get(subject, "") == said:
            return
        self.alarms.pop(subject, None)
        if said:
            self.alarms[subject] = said
        self.metrics.alarms.labels(subject).set(bool(said))
        self.broker.tell("alarm", {"subject": subject, "said": said})

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """In the background, until the line ends, which may be before it has begun."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tend(self) -> None:
        """Now and then: pictures that are too many, the disk, and whether the store can write."""
        last = 0.0
        while True:
            self.alarm("store", self.store.alarm)
            if time.monotonic() - last > TEND_SECONDS:
                last = time.monotonic()
                await self.evict()
            await asyncio.sleep(0.5)

    async def evict(self) -> None:
        """Remove pictures that are too many or too old."""
        numbers = await self.look_up(lambda connection: find_excess(connection, self.retention, time.time()))
        if numbers:
            with suppress(CannotWrite):
                forget = self.store.change(lambda connection: forget_pictures(connection, numbers))
                for file in await asyncio.wrap_future(forget):
                    (self.ring.folder / file).unlink(missing_ok=True)
        for verdict, size in (await self.look_up(kept_bytes)).items():
            self.metrics.kept.labels(verdict).set(size)
        self.metrics.free.set(shutil.disk_usage(self.settings.store.folder).free)

    async def keep(self, who: str, verdict: str, values: Mapping[str, Any] | None) -> None:
        """Pictures of a verdict, by other `days` and `gigabytes`, or, by None, as `line.toml` says; raises BadInput."""
        usual = self.settings.store.retention
        chosen = keeping_of(verdict, values or {}, usual)
        before, after = self.retention[verdict], None if values is None else chosen
        work = self.store.change(lambda connection: put_retention(connection, verdict, after, who, before))
        await asyncio.wrap_future(work)
        self.retention = {**self.retention, verdict: chosen}
        self.ring = self.ring._replace(verdicts=kept_verdicts(self.retention))
        for station in self.stations.values():
            if station.process:
                station.process.send("keep", {"verdicts": sorted(self.ring.verdicts)})
        await self.evict()

    def count_waiting(self) -> None:
        """For whoever asks now."""
        for name, station in self.stations.items():
            self.metrics.waiting.labels(name).set(station.desk.waiting)
