"""For workers of either environment: standard library only."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def seconds(call: Callable[[], Any], *, repeats: int = 3, warm: int = 1) -> list[float]:
    """What each of `repeats` calls took, after `warm` calls that do not count."""
    for _ in range(warm):
        call()
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return taken


def peak_mib() -> float:
    """The greatest resident memory of this process so far, MiB.

    Not getrusage's, which begins with what the process that started this one had.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def report(**values: Any) -> None:
    print(json.dumps(values))
