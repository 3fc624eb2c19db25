"""Processes on this machine that do part after part; the part at which one dies is done again by another."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from threading import Thread
from typing import NamedTuple

from blemish.errors import BadInput, BlemishError

Do = Callable[[int], list[str]]
"""do(number of a part) -> what is said beside its results."""
DEATHS = 3
"""So often a part may end its worker."""


class Done(NamedTuple):
    """A part whose results are in place."""

    number: int
    notes: list[str]


class _Refused(NamedTuple):
    said: str


class _Hired(NamedTuple):
    process: BaseProcess
    number: int  # the part it is at


def in_processes(parts: Iterator[int], make: Callable[[], Do], workers: int) -> Iterator[Done]:
    """Each part as it is done; `make`, which is pickled, is called once in each process.

    Raises BadInput for what a worker refuses, and for a part that ends one worker after the other.
    """
    at_work, died = dict[Connection, _Hired](), Counter[int]()
    try:
        for _ in range(workers):
            _hire(at_work, make, next(parts, None))
        for pipe in _talking(at_work):
            hired = at_work[pipe]
            if found := _heard(pipe, at_work):
                yield found
                _go_on(at_work, pipe, next(parts, None))
            else:
                died[hired.number] += 1
                _refuse_more(hired, died[hired.number])
                _hire(at_work, make, hired.number)
    finally:
        for pipe, hired in at_work.items():
            hired.process.kill()
            hired.process.join()
            pipe.close()


def _hire(at_work: dict[Connection, _Hired], make: Callable[[], Do], number: int | None) -> None:
    """A new process for a part, if there is one."""
    if number is None:
        return
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_work, args=(there, make), daemon=True)
    process.start()
    there.close()
    at_work[here] = _Hired(process, number)
    _tell(here, number)


def _talking(at_work: dict[Connection, _Hired]) -> Iterator[Connection]:
    """Whoever says something or has died, until nobody is at work."""
    while at_work:
        for pipe in wait(list(at_work)):
            assert isinstance(pipe, Connection)
            yield pipe


def _go_on(at_work: dict[Connection, _Hired], pipe: Connection, number: int | None) -> None:
    """The next part, or the end."""
    if number is None:
        _leave(at_work, pipe)
        return
    at_work[pipe] = at_work[pipe]._replace(number=number)
    _tell(pipe, number)


def _leave(at_work: dict[Connection, _Hired], pipe: Connection) -> None:
    pipe.close()
    at_work.pop(pipe).process.join()


def _tell(pipe: Connection, number: int) -> None:
    try:
        pipe.send(number)
    except OSError:
        return  # it is dead, which is heard when it is waited for


def _heard(pipe: Connection, at_work: dict[Connection, _Hired]) -> Done | None:
    """What a worker says; None of one that is dead, and is at work no more."""
    try:
        found: Done | _Refused = pipe.recv()
    except (EOFError, OSError):
        _leave(at_work, pipe)
        return None
    if isinstance(found, _Refused):
        raise BadInput(found.said)
    return found


def _refuse_more(hired: _Hired, deaths: int) -> None:
    code = hired.process.exitcode or 0
    if deaths == DEATHS:
        how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        raise BadInput(
            f"part {hired.number} has ended {deaths} workers ({how}), as happens when memory runs out: go on by the "
            "same command with --resume and fewer --workers; pictures/ in --out says which pictures it has"
        )


def _work(pipe: Connection, make: Callable[[], Do]) -> None:
    """What a process does: what blemish refuses ends the run, anything else this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that waits for this one
    Thread(target=_end_with_parent, daemon=True).start()
    try:
        do = make()
        while True:
            number = pipe.recv()
            pipe.send(Done(number, do(number)))
    except (EOFError, BrokenPipeError):
        return
    except BlemishError as error:
        pipe.send(_Refused(str(error)))


def _end_with_parent() -> None:
    """Nobody reads what a worker does whose driver was killed."""
    parent = multiprocessing.parent_process()
    if parent:
        wait([parent.sentinel])
        os._exit(1)
