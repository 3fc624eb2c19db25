"""Work on recipes, in a process of its own that everything else goes before: the front computes nothing."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from typing import Any

from blemish.errors import BadInput, BlemishError
from blemish.progress import NOTHING, Advance, ShowProgress
from blemish.serve.supervisor import END_SECONDS, spell_exit
from blemish.serve.wire import Wire

Job = Callable[..., Any]
"""Given plain values, and `watch` by name; returns what JSON has."""
Told = Callable[[Mapping[str, Any]], None]
NICE = 10
EVERY_SECONDS = 0.3


class Workshop:
    """One job at a time."""

    def __init__(self) -> None:
        self._one = asyncio.Lock()
        self._process: BaseProcess | None = None
        self._is_over = False

    async def run(self, job: Job, *given: Any, told: Told | None = None) -> Any:
        """What the job returns; raises BadInput with its reason. `told` gets stage, done and total, in the loop."""
        loop = asyncio.get_running_loop()

        def passed(values: Mapping[str, Any]) -> None:
            if told:
                loop.call_soon_threadsafe(told, values)

        async with self._one:
            return await asyncio.to_thread(self._run, job, given, passed)

    def end(self) -> None:
        """Stop whatever is done."""
        self._is_over = True
        if self._process:
            self._process.kill()

    def _run(self, job: Job, given: tuple[Any, ...], told: Told) -> Any:
        if self._is_over:
            raise BadInput("the line was stopped")
        context = multiprocessing.get_context("spawn")
        here, there = socket.socketpair()
        process = self._process = context.Process(target=_work, args=(there, job, given), daemon=True)
        process.start()
        there.close()
        try:
            return _result_of(Wire(here), told)
        except (EOFError, OSError) as error:
            process.join(END_SECONDS)
            raise BadInput(f"the work on a recipe was not done, {spell_exit(process.exitcode)}") from error
        finally:
            self._process = None
            process.kill()
            process.join(END_SECONDS)
            here.close()


def _result_of(wire: Wire, told: Told) -> Any:
    while True:
        kind, values, _ = wire.receive()
        if kind == "refused":
            raise BadInput(values["reason"])
        if kind == "done":
            return values["result"]
        told(values)


def _work(connection: socket.socket, job: Job, given: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the front
    os.nice(NICE)
    wire = Wire(connection)
    try:
        result = job(*given, watch=_watch(wire))
    except BlemishError as error:
        wire.send("refused", {"reason": str(error)})
    else:
        wire.send("done", {"result": result})


def _watch(wire: Wire) -> ShowProgress:
    def begun(stage: str, total: int, done: int = 0, /) -> Advance:
        count, last = done, 0.0

        def advance(_: Mapping[str, float] = NOTHING, /) -> None:
            nonlocal count, last
            count += 1
            if count == total or time.monotonic() - last > EVERY_SECONDS:
                last = time.monotonic()
                wire.send("progress", {"stage": stage, "done": count, "total": total})

        return advance

    return begun
