"""What a command prints: it shows every name as it is, and never decides how the command ends."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING
from unicodedata import category

import click

from blemish.errors import BlemishError, require_torch
from blemish.notices import gather
from blemish.progress import NOTHING, Advance, ShowProgress

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

UNSEEN = {"Cc", "Cs", "Cn", "Zl", "Zp"}
TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn around the direction of what follows."""
PAUSE, FRAME = 10.0, 0.2
"""Seconds between lines about one stage, and between changes of its bar."""
WIDE = 1 << 16
"""Columns of what is no terminal: whole lines, so that names are never cut."""


def printable(text: str) -> str:
    r"""The text with what no console shows written out: "\x1b", and "\xff" for a byte of a name that is no UTF-8."""
    return "".join(_escaped(each) if category(each) in UNSEEN or each in TURNING else each for each in text)


def _escaped(character: str) -> str:
    number = ord(character)
    if character == "\n":
        return character
    if 0xDC80 <= number <= 0xDCFF:  # how Python keeps a byte that is no UTF-8
        return f"\\x{number - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def say(text: str, *, err: bool = False) -> None:
    """Print a line; what the console's encoding lacks is written out, and that nobody reads it is no failure."""
    _write(printable(text), err=err)


def _write(text: str, *, err: bool = False) -> None:
    try:
        click.echo(_encodable(text, sys.stderr if err else sys.stdout), err=err)
    except OSError:
        _close(2 if err else 1)


def _encodable(text: str, stream: object) -> str:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _close(descriptor: int) -> None:
    """What is still printed there is dropped, also when Python ends."""
    with suppress(OSError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), descriptor)


@contextmanager
def speak() -> Iterator[None]:
    """What blemish refuses meanwhile is one line on stderr and exit status 1; what was odd is said at the end."""
    with gather() as notices:
        try:
            with require_torch():
                yield
        except BlemishError as error:
            raise click.ClickException(printable(str(error))) from error
        finally:
            for line in notices.lines():
                say(f"note: {line}", err=True)


class _Stage:
    """How far one stage is, in words."""

    def __init__(self, name: str, total: int, done: int) -> None:
        self.name, self.total, self.done, self.first = name, total, done, done
        self.begun = self.said = time.monotonic()
        self.means: dict[str, float] = {}

    def add(self, measured: Mapping[str, float]) -> None:
        """One more is done; what is measured is shown as the mean of about the last twenty."""
        self.done += 1
        share = max(0.05, 1 / (self.done - self.first))
        for name, value in measured.items():
            mean = self.means.get(name, value)
            self.means[name] = mean + share * (value - mean)

    def is_due(self, pause: float) -> bool:
        """Whether to say it: every `pause` seconds, and at the end of what was said before or is measured."""
        talks = bool(self.means) or self.said > self.begun
        return time.monotonic() - self.said >= pause or (talks and self.done == self.total)

    def text(self) -> str:
        """Such as "training: 20 of 60, focal 0.123, 3 min left"."""
        self.said = time.monotonic()
        left = (self.said - self.begun) / max(1, self.done - self.first) * (self.total - self.done)
        count = f"{self.done} of {self.total}" if self.total else str(self.done)
        means = [f"{name} {mean:.3f}" for name, mean in self.means.items()]
        estimate = [f"{_duration(left)} left"] if self.first < self.done < self.total else []
        return f"{self.name}: {', '.join([count, *means, *estimate])}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@contextmanager
def show_progress() -> Iterator[ShowProgress]:
    """How far each stage is, with an estimate, on stderr: bars in a terminal, elsewhere a line now and then."""
    with _bars() if sys.stderr.isatty() else nullcontext() as bars:
        tasks: dict[str, TaskID] = {}

        def draw(stage: _Stage) -> None:
            if bars is None:
                say(stage.text(), err=True)
            elif stage.done == stage.total:
                bars.remove_task(tasks.pop(stage.name))
            else:
                bars.update(tasks[stage.name], completed=stage.done, description=_cell(stage.text()))

        def watch(name: str, total: int, done: int = 0, /) -> Advance:
            stage = _Stage(name, total, done)
            if bars is not None:
                if name in tasks:
                    bars.remove_task(tasks[name])
                tasks[name] = bars.add_task(_cell(name), total=total or None, completed=done)

            def advance(measured: Mapping[str, float] = NOTHING, /) -> None:
                stage.add(measured)
                if stage.is_due(PAUSE if bars is None else FRAME) or (bars and stage.done == stage.total):
                    draw(stage)

            return advance

        yield watch


def _bars() -> Progress:
    """Bars that are gone when they are done, each beside its stage."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(stderr=True, markup=False, emoji=False, highlight=False)
    return Progress(TextColumn("{task.description}", markup=False), BarColumn(), console=console, transient=True)


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns on stdout."""
    from rich.box import ASCII2, SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Column, Table

    terminal = sys.stdout.isatty()
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower()
    box = SIMPLE_HEAD if encoding.startswith("utf") else ASCII2
    columns = [Column(_cell(name), overflow="fold") for name in head]
    table = Table(*columns, box=box, pad_edge=False)
    for row in rows:
        table.add_row(*map(_cell, row))
    text = io.StringIO()
    width = None if terminal else WIDE
    Console(file=text, force_terminal=terminal, width=width, markup=False, emoji=False, highlight=False).print(table)
    for line in text.getvalue().splitlines():
        _write(line.rstrip())


def _cell(text: str) -> str:
    """One line that any console can show, whatever the text holds."""
    return _encodable(printable(text).replace("\n", "\\n"), sys.stdout)
