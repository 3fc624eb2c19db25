"""Starts the process of a station, passes messages on, and notices its end."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import Any

from blemish.serve.judge import MakeJudge
from blemish.serve.settings import StationSettings
from blemish.serve.station import Ring, run_station
from blemish.serve.wire import Message, Wire

Sent = tuple[str, Mapping[str, Any], bytes]
END_SECONDS = 5.0


class StationProcess:
    """A station that runs: `told` gets its messages, and one of kind "ended" at its end, from a thread of its own."""

    def __init__(
        self, settings: StationSettings, ring: Ring, make: MakeJudge, told: Callable[[StationProcess, Message], None]
    ) -> None:
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        self._process = context.Process(target=run_station, args=(there, settings, ring, make), daemon=True)
        self._process.start()
        there.close()
        self._wire, self._told = Wire(here), told
        self._out: SimpleQueue[Sent | None] = SimpleQueue()
        for target in (self._send_each, self._receive_each):
            threading.Thread(target=target, name=f"blemish-{settings.name}", daemon=True).start()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid or 0

    def send(self, kind: str, values: Mapping[str, Any], content: bytes = b"") -> None:
        """Queue a message; returns at once, also when the process has ended."""
        self._out.put((kind, values, content))

    def end(self) -> None:
        """Stop the process, now."""
        self._process.kill()
        self._process.join(END_SECONDS)

    def _send_each(self) -> None:
        while (sent := self._out.get()) is not None:
            try:
                self._wire.send(*sent)
            except OSError:
                return

    def _receive_each(self) -> None:
        try:
            while True:
                self._told(self, self._wire.receive())
        except (EOFError, OSError):
            self._out.put(None)
            self._process.join(END_SECONDS)
            code = self._process.exitcode
            self._told(self, Message("ended", {"reason": _ending_of(code), "pid": self.pid}))
            self._wire.connection.close()


def _ending_of(code: int | None) -> str:
    if code is not None and code < 0:
        return f"its process was ended by signal {-code}, as happens when memory runs out"
    return f"its process ended with exit status {code}"
