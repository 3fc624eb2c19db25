"""A station as the front process sees it: its state, its process, its parts.

Everything here runs in the event loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from blemish.errors import BadInput, UnknownName
from blemish.serve.desk import Busy, Conflict, Desk, OpenPart
from blemish.serve.folder import put_away
from blemish.serve.records import PartRecord
from blemish.serve.ring import put_pictures
from blemish.serve.settings import StationSettings
from blemish.serve.states import EXECUTION, Command, State, WrongState, next_state, spell_state
from blemish.serve.supervisor import StationProcess
from blemish.serve.wire import Message

if TYPE_CHECKING:
    from blemish.serve.front import Front

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""Seconds before a station is started again, doubled each time that it ends before it was ready."""


class SingleJob(NamedTuple):
    """What is to be inspected once."""

    part: str = ""
    product: str = ""


class Station:
    """A station's state, its process and its parts."""

    def __init__(self, settings: StationSettings, front: Front) -> None:
        self.settings, self.front = settings, front
        self.state: State = "Preoperational"
        self.recipe, self.hash = settings.recipe, ""  # that are used
        self.desk = Desk(settings, self._recorded, durable=front.settings.store.durable)
        self.process: StationProcess | None = None
        self.reading = 0  # views whose bytes are on their way
        self.single = SingleJob()
        self._wait = FIRST_WAIT
        self._asked: asyncio.Future[str] | None = None  # for a recipe
        self._messages: asyncio.Queue[tuple[StationProcess, Message]] = asyncio.Queue()

    def start(self) -> None:
        """Start the process."""

        def told(process: StationProcess, message: Message) -> None:
            self._messages.put_nowait((process, message))

        self.process = StationProcess(self.settings, self.front.ring, self.front.make, told)

    def end(self, reason: str) -> None:
        """Stop the process, if there is one; what is open is not inspected."""
        process, self.process = self.process, None
        if process:
            process.end()
        self.desk.give_up(reason)
        if self._asked and not self._asked.done():
            self._asked.set_exception(BadInput(f"{self.settings.name}: {reason}"))

    async def command(self, command: Command, recipe: str = "", *, part: str = "", product: str = "") -> State:
        """Do what a door asks for; raises WrongState, UnknownName, and BadInput for a recipe that cannot be loaded.

        `part`, `product`: of a single job; without an id it takes the next part, whichever it is.
        """
        after = next_state(self.state, command)
        self.single = SingleJob(part, product) if command == "start_single" else SingleJob()
        if command == "prepare":
            await self.prepare(recipe or self.settings.recipe)
        if command == "unprepare":
            self.hash = ""
        if command in ("abort", "halt", "reset"):
            self.desk.give_up(f"{command} was asked for")
        if command in ("halt", "reset"):
            self.end(f"{command} was asked for")
        self._enter(after)
        if command == "reset":
            self._wait = FIRST_WAIT
            self.start()
        return self.state

    async def prepare(self, recipe: str, file: Path | None = None) -> str:
        """Load a recipe beside the one that is used, and use it from the next part on; returns its hash.

        file: one that is to become the recipe's.
        """
        if recipe not in self.settings.recipes:
            raise UnknownName(f"{self.settings.name} has no recipe {recipe}: {', '.join(self.settings.recipes)}")
        if self._asked and not self._asked.done():
            raise WrongState(f"{self.settings.name} is loading a recipe already: wait for it")
        assert self.process is not None  # by the table of states
        self._asked = asyncio.get_running_loop().create_future()
        self.process.send("prepare", {"recipe": recipe, "path": str(file or self.settings.recipes[recipe])})
        return await self._asked

    def admit(self, part: str, coming: int = 0) -> None:
        """Raises Busy as `Desk.admit` does, and counts it."""
        try:
            self.desk.admit(part, coming)
        except Busy:
            self.front.metrics.refused.labels(self.settings.name, "busy").inc()
            raise

    def send_view(self, part: str, view: str, content: bytes, *, is_array: bool, product: str, batch: str) -> OpenPart:
        """Raises WrongState, Busy or Conflict."""
        if self.state not in EXECUTION and part not in self.desk.open:
            raise WrongState(f"{self.settings.name} inspects nothing, it is {spell_state(self.state)}: start it first")
        if self.state == "SingleExecution" and self._is_another(part):
            raise WrongState(f"{self.settings.name} inspects one part, which is another: wait for it")
        assert self.process is not None
        self.admit(part)
        found = self.desk.add(part, view, product=product or self.single.product, batch=batch, recipe=self.hash)
        self.process.send("view", {"part": part, "view": view, "is_array": is_array}, content)
        return found

    def _is_another(self, part: str) -> bool:
        """Than the one of the single job."""
        if self.single.part:
            return part != self.single.part
        return bool(self.desk.open) and part not in self.desk.open

    async def follow(self) -> None:
        """Take what the station says, in its order, for ever."""
        handlers: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
            "up": self._up, "prepared": self._prepared, "refused": self._refused, "ended": self._ended,
            "begun": self.desk.begin, "judged": self.desk.judge, "unreadable": self.desk.judge,
            "kept": self._kept, "unkept": self._unkept, "drifted": self._drifted,
            "missed": self.desk.miss, "camera": self._camera,
        }  # fmt: skip
        while True:
            process, (kind, values, _) = await self._messages.get()
            if process is not self.process:
                continue  # it was stopped
            if kind == "arrived":
                await self._take_in(values["part"], values["view"], values["file"], values.get("at", 0.0))
            else:
                handlers[kind](values)

    def _up(self, _: Mapping[str, Any]) -> None:
        self._enter(next_state(self.state, "initialize"))
        self.front.run(self._make_ready())

    async def _make_ready(self) -> None:
        try:
            await self.prepare(self.recipe)
        except BadInput as error:
            self.front.alarm(self.settings.name, str(error))
            return
        self._wait = FIRST_WAIT
        self.front.alarm(self.settings.name, "")
        self._enter(next_state(self.state, "prepare"))
        if self.settings.start:
            self._enter(next_state(self.state, "start_continuous"))

    def _prepared(self, values: Mapping[str, Any]) -> None:
        """What comes after this is judged by it, whoever asked for it and waits no more."""
        self.recipe, self.hash = values["recipe"], values["hash"]
        self.front.alarm(f"{self.settings.name} drift", "")
        if self._asked and not self._asked.done():
            self._asked.set_result(values["hash"])

    def _refused(self, values: Mapping[str, Any]) -> None:
        if self._asked and not self._asked.done():
            self._asked.set_exception(BadInput(values["reason"]))

    def _ended(self, values: Mapping[str, Any]) -> None:
        """By itself: otherwise `process` is another, or none."""
        self.front.metrics.restarts.labels(self.settings.name).inc()
        self.front.alarm(
            self.settings.name, f"{self.settings.name} has failed: {values['reason']}; it is started again"
        )
        self._enter(next_state(self.state, "fail"))
        self.end(values["reason"])
        asyncio.get_running_loop().call_later(self._wait, self._start_again)
        self._wait = min(LONGEST_WAIT, 2 * self._wait)

    def _start_again(self) -> None:
        if self.state == "Error":
            self._enter(next_state(self.state, "reset"))
            self.start()

    async def _take_in(self, part: str, view: str, file: str, at: float) -> None:
        """What the station took from its folder or a camera; a file whose part has a record is only put away."""
        try:
            if await self.front.recorded(self, part) is None:
                self.desk.add(part, view, product=self.single.product, recipe=self.hash, file=file, at=at)
                return
        except Conflict as error:
            self.front.alarm(f"{self.settings.name} folder", f"{file or part}: {error}")
        self._put_away([file] if file else [])

    def _put_away(self, files: list[str]) -> None:
        if files and self.settings.folder:
            self.front.run(asyncio.to_thread(put_away, self.settings.folder, files))

    def _kept(self, values: Mapping[str, Any]) -> None:
        self.front.alarm("pictures", "")
        files = [(values["view"], kind, file, size) for kind, file, size in values["files"]]
        if found := self.desk.keep(values["part"], files):
            self._note_pictures(found)

    def _note_pictures(self, found: OpenPart) -> None:
        kept, found.kept, record = found.kept, [], found.record
        if kept and record:
            name, part, verdict = record.station, record.part, record.verdict
            self.front.store.note(lambda connection: put_pictures(connection, name, part, verdict, kept))

    def _unkept(self, values: Mapping[str, Any]) -> None:
        self.front.alarm("pictures", values["reason"])

    def _camera(self, values: Mapping[str, Any]) -> None:
        reason = values["reason"] and f"{self.settings.name}: {values['reason']}"
        self.front.alarm(f"{self.settings.name} {values['camera']}", reason)

    def _drifted(self, values: Mapping[str, Any]) -> None:
        said = f"scores are {values['change']} than those of the calibration, after {values['after']} views"
        self.front.alarm(f"{self.settings.name} drift", f"{self.settings.name}: {said}: look at parts, calibrate again")

    def _recorded(self, record: PartRecord, found: OpenPart) -> None:
        loop, durable = asyncio.get_running_loop(), self.front.settings.store.durable
        files, found.files = found.files, []

        def committed(done: Future[None]) -> None:
            with suppress(RuntimeError):  # the loop has ended
                if error := done.exception():
                    said = f"part {record.part} could not be recorded: {error}"
                    loop.call_soon_threadsafe(self.front.alarm, f"{self.settings.name} record", said)
                    return
                loop.call_soon_threadsafe(self._put_away, files)
                loop.call_soon_threadsafe(self.front.connectors.wake)
                if record.verdict == "review":
                    told = {"station": record.station, "part": record.part}
                    loop.call_soon_threadsafe(self.front.broker.tell, "waits", told)
                if durable:
                    loop.call_soon_threadsafe(self._report, record, found)

        written = self.front.store.add(record)
        self._note_pictures(found)
        if not durable:
            self._report(record, found)
        written.add_done_callback(committed)
        if self.state == "SingleExecution" and not self.desk.open:
            self._enter(next_state(self.state, "finish"))

    def _report(self, record: PartRecord, found: OpenPart) -> None:
        """Answer, and tell everyone."""
        metrics = self.front.metrics
        (metrics.time if found.answer.done() else metrics.count)(record)
        if not found.answer.done():
            found.answer.set_result(record)
        self.front.broker.tell("part", record.as_json())

    def _enter(self, state: State) -> None:
        self.state = state
        self.front.metrics.set_state(self.settings.name, state)
        self.front.broker.tell("state", {"station": self.settings.name, "state": spell_state(state)})
        if self.process:
            single = {"is_single": state == "SingleExecution", "part": self.single.part}
            self.process.send("run", {"on": state in EXECUTION, **single})

    def as_json(self) -> dict[str, Any]:
        """Plain values, for health."""
        return {
            "name": self.settings.name, "state": spell_state(self.state), "recipe": self.recipe, "hash": self.hash,
            "waiting": self.desk.waiting, "views": list(self.settings.views), "product": self.settings.product,
        }  # fmt: skip
