"""A Python function of one's own: it gets each record as plain values, in order, again and again until it returns.

It runs in a process of its own, so that whatever it does delays no verdict.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from blemish.serve.doors.connector import Link, LostConnection
from blemish.serve.doors.options import HookOptions


class Hook:
    """One function."""

    def __init__(self, options: HookOptions, link: Link) -> None:
        self.options, self.link = options, link

    def publish(self, kind: str, values: Mapping[str, Any]) -> None:
        """Parts come from the outbox, and nothing else is handed on."""

    async def run(self) -> None:
        """Until it raises, ends its process or takes too long: LostConnection; it then begins in a new process."""
        pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
        try:
            while True:
                for letter in await self.link.letters():
                    await self._call(pool, {"kind": letter.kind, **letter.record.as_json()})
                    self.link.greet()
                    await self.link.drop([letter])
        finally:
            for each in list((pool._processes or {}).values()):
                each.kill()
            pool.shutdown(wait=False, cancel_futures=True)

    async def _call(self, pool: ProcessPoolExecutor, values: dict[str, Any]) -> None:
        file, function = self.options.file, self.options.function
        work = asyncio.get_running_loop().run_in_executor(pool, call_function, file, function, values)
        try:
            said = await asyncio.wait_for(work, self.options.seconds)
        except TimeoutError as error:
            raise LostConnection(f"{file}: {function} did not return within {self.options.seconds:g} s") from error
        except BrokenProcessPool as error:
            raise LostConnection(f"{file}: {function} ended its process") from error
        if said:
            raise LostConnection(f"{file}: {said}")


def call_function(file: Path, function: str, values: dict[str, Any]) -> str:
    """In the function's process; returns what went wrong, "" where nothing did."""
    try:
        _load(file, function)(values)
    except Exception as error:  # of another's code, which is said and tried again
        return f"{function} raised {type(error).__name__}: {error}"
    return ""


@cache
def _load(file: Path, function: str) -> Callable[[dict[str, Any]], object]:
    spec = spec_from_file_location(file.stem, file)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Callable[[dict[str, Any]], object] = getattr(module, function)
    return found
