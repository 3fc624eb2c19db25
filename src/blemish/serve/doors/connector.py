"""Doors of a line, each kept open: started, connected again when its peer has gone, counted, stopped.

A door is a class of one file of this folder. It says and hears in its own protocol's terms; whether a command may be
given is answered by the one table of states, as for every other door.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from blemish.errors import BlemishError, UnknownName
from blemish.serve.doors.options import KINDS, ConnectorSettings
from blemish.serve.outbox import Letter, drop_letters, list_letters
from blemish.serve.states import COMMANDS, WrongState

if TYPE_CHECKING:
    from blemish.serve.front import Front
    from blemish.serve.stations import Station

SHORTEST_PAUSE, LONGEST_PAUSE = 0.25, 30.0
"""Seconds before a door is opened again, doubled each time that it was not connected."""
LOOK_AGAIN_SECONDS = 5.0
MOST_LETTERS = 50
_LOG = logging.getLogger("blemish.serve")


class LostConnection(BlemishError):
    """A peer that has gone, or was not there; the door is opened again."""


class Door(Protocol):
    """What a connector opens."""

    async def run(self) -> None:
        """Connect, and serve until this is cancelled; raises LostConnection, or OSError, and is then run again."""

    def publish(self, kind: str, values: Mapping[str, Any]) -> None:
        """Something has happened at a station of the door ("part", "state"), or an "alarm" has changed; never waits."""


@dataclass(slots=True)
class Health:
    """How a connector is."""

    name: str
    kind: str
    state: str = "stopped"  # connecting, connected, stopped
    since: float = field(default_factory=time.time)
    error: str = ""  # the last one
    counters: Counter[str] = field(default_factory=Counter)

    def enter(self, state: str) -> None:
        """Another state."""
        if state != self.state:
            self.state, self.since = state, time.time()

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        said = {"name": self.name, "kind": self.kind, "state": self.state, "since": self.since, "error": self.error}
        return said | {"counters": dict(self.counters)}


class Link:
    """What a door may do on the line."""

    def __init__(self, settings: ConnectorSettings, front: Front, health: Health) -> None:
        self.settings, self.front, self.health = settings, front, health
        self.stations: dict[str, Station] = {name: front.stations[name] for name in settings.stations}
        self._more = asyncio.Event()

    def greet(self) -> None:
        """The peer is there."""
        self.health.enter("connected")
        self.health.error = ""
        self.front.alarm(f"connector {self.settings.name}", "")

    def count(self, what: str, number: int = 1) -> None:
        """Of what the page shows: sent, commands, refused."""
        self.health.counters[what] += number

    async def command(
        self, station: str, command: str, recipe: str = "", *, part: str = "", product: str = "", person: str = ""
    ) -> None:
        """Raises WrongState, UnknownName and BadInput, each of which is counted and logged, and changes nothing.

        `person`: who has logged in, where a door knows; the audit names them, else the connector.
        """
        self.count("commands")
        try:
            if not self.settings.commands:
                raise WrongState(f"{self.settings.name} gives no commands: set commands = true in its table to let it")
            if station not in self.stations or command not in COMMANDS:
                raise UnknownName(f"{self.settings.name} has no station {station[:64]}, or no command {command[:64]}")
            who = person or f"connector {self.settings.name}"
            await self.front.obey(who[:64], self.stations[station], command, recipe, part=part, product=product)
        except BlemishError as error:
            self.refuse(str(error))
            raise

    def refuse(self, said: str) -> None:
        """Note that something was asked for that cannot be done."""
        self.count("refused")
        self.health.error = said
        _LOG.warning("connector %s refused: %s", self.settings.name, said)

    def wake(self) -> None:
        """There may be something new in the outbox."""
        self._more.set()

    async def letters(self) -> Sequence[Letter]:
        """The oldest that were not handed on; waits until there are some."""
        name = self.settings.name
        while True:
            self._more.clear()
            found: Sequence[Letter] = await self.front.look_up(
                lambda connection: list_letters(connection, name, MOST_LETTERS)
            )
            if found:
                return found
            with suppress(TimeoutError):
                await asyncio.wait_for(self._more.wait(), LOOK_AGAIN_SECONDS)

    async def drop(self, letters: Sequence[Letter]) -> None:
        """They were handed on."""
        numbers = [each.number for each in letters]
        await asyncio.wrap_future(self.front.store.change(lambda connection: drop_letters(connection, numbers)))
        self.count("sent", len(numbers))


class Connector:
    """A door that is kept open."""

    def __init__(self, settings: ConnectorSettings, front: Front) -> None:
        self.settings, self.health = settings, Health(settings.name, settings.kind)
        self.link = Link(settings, front, self.health)
        module, _, made = KINDS[settings.kind].where.partition(":")
        self.door: Door = getattr(import_module(module), made)(settings.options, self.link)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Open the door, in the background."""
        self._task = asyncio.get_running_loop().create_task(self._keep_open())

    async def stop(self) -> None:
        """Close it."""
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task], timeout=LONGEST_PAUSE / 10)
        self.health.enter("stopped")

    def publish(self, kind: str, values: Mapping[str, Any]) -> None:
        """Tell the door what happened at one of its stations, or to the whole line."""
        if kind == "alarm" or values.get("station") in self.link.stations:
            self.door.publish(kind, values)

    async def _keep_open(self) -> None:
        pause, name = SHORTEST_PAUSE, self.settings.name
        while True:
            self.health.enter("connecting")
            try:
                await self.door.run()
            except Exception as error:  # whatever it is, it is said, and the line goes on
                if not isinstance(error, LostConnection | OSError):
                    _LOG.exception("connector %s", name)
                self.health.error = str(error) or type(error).__name__
            pause = SHORTEST_PAUSE if self.health.state == "connected" else min(LONGEST_PAUSE, 2 * pause)
            self.health.enter("connecting")
            self.link.count("losses")
            self.link.front.alarm(f"connector {name}", f"connector {name}: {self.health.error}; it is tried again")
            await asyncio.sleep(pause)


class Connectors:
    """All doors of a line."""

    def __init__(self, settings: Sequence[ConnectorSettings], front: Front) -> None:
        self._each = [Connector(each, front) for each in settings]
        front.broker.follow(self._publish)

    def start(self) -> None:
        """Open all doors."""
        for each in self._each:
            each.start()

    async def stop(self) -> None:
        """Close all doors."""
        await asyncio.gather(*(each.stop() for each in self._each))

    def wake(self) -> None:
        """A part was recorded."""
        for each in self._each:
            each.link.wake()

    def as_json(self) -> list[dict[str, Any]]:
        """How each of them is: name, kind, state, since when, the last error, counters."""
        return [each.health.as_json() for each in self._each]

    def _publish(self, kind: str, values: Mapping[str, Any]) -> None:
        for each in self._each:
            each.publish(kind, values)


async def run_together(*works: Coroutine[Any, Any, None]) -> None:
    """Until one of them ends, with its error if it has one; the others are then cancelled."""
    tasks = [asyncio.ensure_future(each) for each in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for each in done:
            each.result()
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
