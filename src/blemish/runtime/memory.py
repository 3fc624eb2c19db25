"""Memory that was needed for a moment goes back to the machine."""

from __future__ import annotations

import ctypes
import sys


def give_back_memory() -> None:
    """What C libraries have freed and the allocator keeps, where that is glibc's: a graph made ready leaves much."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
