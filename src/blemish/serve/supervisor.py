"""Starts the process of a station, passes messages on, and notices its end; all in the event loop's thread."""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
from collections.abc import Callable, Mapping
from typing import Any, cast

from blemish.serve.judge import MakeJudge
from blemish.serve.settings import StationSettings
from blemish.serve.station import Ring, run_station
from blemish.serve.wire import Message, Unpacker, pack_message

END_SECONDS = 5.0


class StationProcess(asyncio.Protocol):
    """A station that runs: `told` gets its messages, and one of kind "ended" at its end."""

    def __init__(
        self, settings: StationSettings, ring: Ring, make: MakeJudge, told: Callable[[StationProcess, Message], None]
    ) -> None:
        context = multiprocessing.get_context("spawn")
        here, there = socket.socketpair()
        self._process = context.Process(target=run_station, args=(there, settings, ring, make), daemon=True)
        self._process.start()
        there.close()
        self._told, self._found = told, Unpacker()
        self._transport: asyncio.WriteTransport | None = None
        self._early: list[bytes] = []  # what is to be sent as soon as that can be done
        here.setblocking(False)
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(loop.create_connection(lambda: self, sock=here))

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid or 0

    def send(self, kind: str, values: Mapping[str, Any], content: bytes = b"") -> None:
        """Send a message; returns at once, also when the process has ended."""
        for piece in pack_message(Message(kind, values, content)):
            if not piece:
                continue
            if self._transport is None:
                self._early.append(piece)
            elif not self._transport.is_closing():
                self._transport.write(piece)

    def end(self) -> None:
        """Stop the process, now."""
        self._process.kill()
        self._process.join(END_SECONDS)
        if self._transport:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As asyncio has it."""
        self._transport = cast(asyncio.WriteTransport, transport)
        for piece in self._early:
            self._transport.write(piece)
        self._early.clear()

    def data_received(self, data: bytes) -> None:
        """As asyncio has it."""
        for message in self._found.add(data):
            self._told(self, message)

    def connection_lost(self, exc: Exception | None) -> None:
        """As asyncio has it."""
        self._process.join(END_SECONDS)  # which has closed the connection by its end
        self._told(self, Message("ended", {"reason": spell_exit(self._process.exitcode), "pid": self.pid}))


def spell_exit(code: int | None) -> str:
    """How a process ended, in words."""
    if code is not None and code < 0:
        return f"its process was ended by signal {-code}, as happens when memory runs out"
    return f"its process ended with exit status {code}"
