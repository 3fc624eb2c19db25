"""How far something is: whoever computes says it, and the command decides how it is shown."""

from __future__ import annotations

from collections.abc import Callable

ShowProgress = Callable[[str, int], Callable[[], None]]
"""watch(stage, total) -> a function to call after each picture of that stage."""


def no_progress(stage: str, total: int) -> Callable[[], None]:
    """Show nothing."""
    return lambda: None
