"""How far something is: whoever computes says it, and the command decides how it is shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Protocol

NOTHING: Mapping[str, float] = MappingProxyType({})


class Advance(Protocol):
    """One more is done."""

    def __call__(self, measured: Mapping[str, float] = NOTHING, /) -> None:
        """measured: numbers by name, such as the losses of a step, whose means are shown."""


class ShowProgress(Protocol):
    """watch(stage, total) -> a function to call after each picture, or step, of that stage."""

    def __call__(self, stage: str, total: int, done: int = 0, /) -> Advance:
        """total: 0 where nobody knows. done: what an earlier run did. A stage begun again takes its own place."""


@contextmanager
def one_step(watch: ShowProgress, stage: str) -> Iterator[None]:
    """A stage whose parts nobody counts: shown as soon as it begins."""
    advance = watch(stage, 1)
    yield
    advance()


def no_progress(stage: str, total: int, done: int = 0, /) -> Advance:
    """Show nothing."""
    return lambda measured=NOTHING: None
