"""What a command prints: it shows every name as it is, and never decides how the command ends."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from unicodedata import category

import click

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

    from blemish.progress import ShowProgress

UNSEEN = {"Cc", "Cs", "Cn", "Zl", "Zp"}
TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn around the direction of what follows."""
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
def show_progress() -> Iterator[ShowProgress]:
    """Progress with an estimate on stderr, for as long as it lasts."""
    from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn

    with progress(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as shown:

        def watch(stage: str, total: int) -> Callable[[], None]:
            task = shown.add_task(_cell(stage), total=total)
            return lambda: shown.advance(task)

        yield watch


def progress(*columns: ProgressColumn) -> Progress:
    """Bars on stderr that are gone when they are done, each after its description; none where nobody looks."""
    from rich.console import Console
    from rich.progress import Progress, TextColumn

    described = TextColumn("{task.description}", markup=False)
    console = Console(stderr=True, markup=False, emoji=False, highlight=False)
    return Progress(described, *columns, console=console, transient=True, disable=not console.is_terminal)


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
        _write(line)


def _cell(text: str) -> str:
    """One line that any console can show, whatever the text holds."""
    return _encodable(printable(text).replace("\n", "\\n"), sys.stdout)
