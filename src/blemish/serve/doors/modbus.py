"""Modbus TCP: a unit a station, one table of registers, and a handshake of four phases for single parts.

Ready -> Trigger -> Busy -> Valid -> Ack -> (Valid falls) -> Trigger and Ack fall -> Ready. What cannot be done in a
state is answered by exception 4 and changes nothing. docs/serve.md has the registers.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections import deque
from collections.abc import Mapping
from itertools import count
from typing import TYPE_CHECKING, Any

from blemish.errors import BlemishError
from blemish.serve.doors.connector import Link, LostConnection
from blemish.serve.doors.options import ModbusOptions
from blemish.serve.records import SEVERITY, hash_bytes
from blemish.serve.states import COMMANDS, EXECUTION, STATES, Command, WrongState

if TYPE_CHECKING:
    from pymodbus.constants import ExcCodes

_CONTROL, _COMMAND, _RECIPE, _ASKED_PART = 0, 1, 2, 3
_TRIGGER, _ACK = 1, 2
_STATUS, _REGISTERS, _ID_REGISTERS, _HASH_REGISTERS = 40, 98, 32, 16
_MOST_RESULTS = 64
_PATIENCE_SECONDS = 0.3
"""After which a command that is still being done, as a recipe is loaded, is answered."""
_FAULTS = ("inspected", "late", "unreadable", "incomplete", "not inspected")


class Modbus:
    """One server for all stations of its table."""

    def __init__(self, options: ModbusOptions, link: Link) -> None:
        self.options, self.link = options, link
        self.units = {name: _Unit(name, link, waits=options.ack) for name in link.stations}

    def publish(self, kind: str, values: Mapping[str, Any]) -> None:
        """What was answered; the true results of late parts are not shown."""
        if kind == "part" and not (values["late"] and values["judged"]):
            self.units[values["station"]].add(values)

    async def run(self) -> None:
        """Until cancelled; LostConnection where it cannot listen."""
        from pymodbus.server import ModbusTcpServer
        from pymodbus.simulator import DataType, SimData, SimDevice

        devices = [
            SimDevice(number, [SimData(0, count=_REGISTERS, values=0, datatype=DataType.REGISTERS)], action=unit.act)
            for number, unit in self._numbers()
        ]
        server = ModbusTcpServer(devices, address=(self.options.host, self.options.port))
        try:
            await server.serve_forever(background=True)
            self.link.greet()
            await asyncio.get_running_loop().create_future()  # for ever
        except RuntimeError as error:
            raise LostConnection(f"{self.options.host}:{self.options.port} cannot be listened at: {error}") from error
        finally:
            await server.shutdown()

    def _numbers(self) -> list[tuple[int, _Unit]]:
        """From 1 on; where there is one station, any number is its own."""
        found = list(enumerate(self.units.values(), start=1))
        return found if len(found) > 1 else [(0, found[0][1]), *found]


class _Unit:
    """A station's registers; waits: whether a result stays until it is acknowledged, and the others behind it."""

    def __init__(self, name: str, link: Link, *, waits: bool) -> None:
        self.name, self.link, self.waits = name, link, waits
        self.written = [0] * _STATUS
        self.results: deque[Mapping[str, Any]] = deque()
        self.shown: Mapping[str, Any] | None = None
        self.lost, self.seen = 0, 0
        self._works: set[asyncio.Future[None]] = set()

    def add(self, values: Mapping[str, Any]) -> None:
        """A part was answered."""
        if not self.waits:
            self.shown = None
        elif len(self.results) >= _MOST_RESULTS:
            self.results.popleft()
            self.lost += 1
        self.results.append(values)
        self._show()

    async def act(
        self, function: int, start: int, address: int, count: int, registers: list[int], values: Any
    ) -> ExcCodes | None:
        """What pymodbus calls before it reads or writes; for a write, `values` are the new ones."""
        from pymodbus.constants import ExcCodes

        if values is not None:
            if address + len(values) > _STATUS:
                return ExcCodes.ILLEGAL_ADDRESS
            try:
                await self._write(address, [int(each) for each in values])
            except BlemishError:
                return ExcCodes.DEVICE_FAILURE
        registers[:] = self._registers()
        if values is not None:
            values[:] = registers[address : address + len(values)]
        return None

    async def _write(self, address: int, values: list[int]) -> None:
        before, after, shown = self.written, list(self.written), self.shown
        after[address : address + len(values)] = values
        rises = after[_CONTROL] & ~before[_CONTROL]
        if rises & _ACK and self.shown is None:
            self._refuse("Ack is not possible where nothing is Valid")
        if rises & _TRIGGER and ((self.waits and self.shown is not None) or after[_CONTROL] & _ACK):
            self._refuse("Trigger is not possible before the last result was acknowledged, and Ack has fallen")
        if rises & _TRIGGER:
            await self._command("start_single", part=_text(after[_ASKED_PART : _ASKED_PART + _ID_REGISTERS]))
        elif number := after[_COMMAND]:
            await self._command(self._command_of(number), self._recipe_of(after[_RECIPE]))
        after[_COMMAND] = 0
        self.written = after
        if rises & (_ACK if self.waits else _ACK | _TRIGGER) and self.shown is shown:
            self.shown = None
        self._show()

    def _refuse(self, said: str) -> None:
        self.link.refuse(f"{self.name}: {said}")
        raise WrongState(said)

    async def _command(self, command: Command, recipe: str = "", *, part: str = "") -> None:
        """Wrong states are known at once; what takes longer goes on by itself."""
        work = asyncio.ensure_future(self.link.command(self.name, command, recipe, part=part))
        self._works.add(work)
        work.add_done_callback(self._forget)
        done, _ = await asyncio.wait([work], timeout=_PATIENCE_SECONDS)
        if done:
            work.result()

    def _forget(self, work: asyncio.Future[None]) -> None:
        self._works.discard(work)
        if not work.cancelled():
            work.exception()  # which the link has counted and logged

    def _command_of(self, number: int) -> Command:
        if number > len(COMMANDS):
            self._refuse(f"there is no command {number}")
        return COMMANDS[number - 1]

    def _recipe_of(self, number: int) -> str:
        names = list(self.link.stations[self.name].settings.recipes)
        if number > len(names):
            self._refuse(f"there is no recipe {number}")
        return names[number - 1] if number else ""

    def _show(self) -> None:
        """The next result, when the last one was acknowledged and Ack has fallen, if that is waited for."""
        if self.shown is None and self.results and not (self.waits and self.written[_CONTROL] & _ACK):
            self.shown = self.results.popleft()
            self.seen += 1

    def _registers(self) -> list[int]:
        station, shown = self.link.stations[self.name], self.shown or {}
        is_idle = not self.written[_CONTROL] and not (self.waits and self.shown)
        part, score = str(shown.get("part", "")), shown.get("score")
        fault = _FAULTS.index("late" if shown.get("late") else shown.get("outcome", _FAULTS[0]))
        flags = (
            station.state == "Ready" and is_idle, station.state in EXECUTION, self.shown is not None,
            station.state in ("Error", "Halted"), bool(shown.get("late")), len(part.encode()) > 2 * _ID_REGISTERS,
        )  # fmt: skip
        found = [
            sum(flag << bit for flag, bit in zip(flags, count())),
            int(time.monotonic()) % 2**16,
            STATES.index(station.state),
            SEVERITY.index(shown["verdict"]) + 1 if shown else 0,
            fault,
            *struct.unpack(">HH", struct.pack(">f", float("nan") if score is None else score)),
            list(station.settings.recipes).index(station.recipe) + 1 if station.hash else 0,
            self.lost % 2**16,
            self.seen % 2**16,
        ]
        name = part.encode()[: 2 * _ID_REGISTERS].decode(errors="ignore").encode()
        recipe = hash_bytes(str(shown.get("recipe", "")))
        return [*self.written, *found, *_words(name, _ID_REGISTERS), *_words(recipe, _HASH_REGISTERS)]


def _words(data: bytes, count: int) -> list[int]:
    """Two bytes a register, zeros behind."""
    return list(struct.unpack(f">{count}H", data[: 2 * count].ljust(2 * count, b"\0")))


def _text(registers: list[int]) -> str:
    data = struct.pack(f">{len(registers)}H", *registers)
    return data.split(b"\0")[0].decode(errors="replace")
