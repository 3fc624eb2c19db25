"""What is said beside a result: a line of each kind, however many pictures it is about.

Whoever finds something odd says it to the logger "blemish", which by Python's default prints every line on stderr.
Whoever talks to people or writes a report gathers the lines instead.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

NAMED = 5
"""Names that a sentence lists at most."""
_LOGGER = logging.getLogger("blemish")


def notice(kind: str, *about: object) -> None:
    """A sentence with %s for each of `about`; sentences of one kind are gathered in one line."""
    _LOGGER.warning(kind, *about)


def amount(count: int, noun: str) -> str:
    """So many: "1 picture", "3 pictures"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def list_names(names: Sequence[str]) -> str:
    """The first `NAMED` of them, and how many others there are: "a, b, c, d, e and 7 more"."""
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


@contextmanager
def silence() -> Iterator[None]:
    """Nothing is said meanwhile: for what will be done again."""

    def refuse(record: logging.LogRecord) -> bool:
        return False

    _LOGGER.addFilter(refuse)
    try:
        yield
    finally:
        _LOGGER.removeFilter(refuse)


class Notices(logging.Handler):
    """The first sentence of each kind, and how many others there are; the same sentence counts once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._first: dict[str, str] = {}
        self._seen: dict[str, set[int]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Take a sentence."""
        sentence = record.getMessage()
        self._first.setdefault(str(record.msg), sentence)
        self._seen.setdefault(str(record.msg), set()).add(hash(sentence))

    def lines(self) -> list[str]:
        """A line a kind, in the order in which they were first said."""
        more = {kind: len(seen) - 1 for kind, seen in self._seen.items()}
        return [f"{first} (and {more[kind]} more)" if more[kind] else first for kind, first in self._first.items()]


@contextmanager
def gather() -> Iterator[Notices]:
    """What is said meanwhile, in any thread."""
    notices = Notices()
    _LOGGER.addHandler(notices)
    try:
        yield notices
    finally:
        _LOGGER.removeHandler(notices)
