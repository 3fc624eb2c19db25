"""How pictures are read that a recipe learns from or is measured by."""

from __future__ import annotations

from typing import NamedTuple

from blemish.images import Unreadable
from blemish.progress import ShowProgress, no_progress


class Reading(NamedTuple):
    """How pictures are read while teaching."""

    batch_size: int = 8
    watch: ShowProgress = no_progress
    unreadable: list[Unreadable] | None = None  # what cannot be read is added here, or raised without it


PLAIN = Reading()
