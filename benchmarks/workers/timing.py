"""For workers of either environment: standard library only."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable
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
    """The greatest resident memory of this process so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def report(**values: Any) -> None:
    print(json.dumps(values))
