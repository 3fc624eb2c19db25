"""Spoiled files: what is done to them, and a watch over what reading them does."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import numpy as np

RUNS_CODE = {
    "compile",
    "exec",
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.system",
    "pickle.find_class",
    "subprocess.Popen",
}
_heard: list[str] | None = None


def _listen(event: str, arguments: object) -> None:
    if _heard is not None and event in RUNS_CODE:
        _heard.append(f"{event} {arguments!r:.200}")


sys.addaudithook(_listen)  # for as long as the process lives, so it listens only while it is asked to


@contextmanager
def harmless(seconds: float = 20.0) -> Iterator[None]:
    """Fails if what is done inside runs code out of a file, or takes longer."""
    global _heard

    def late(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    _heard = []
    try:
        yield
        assert _heard == []
    finally:
        _heard = None
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def spoiled(data: bytes, random: np.random.Generator) -> bytes:
    """Cut, with flipped bits, with a stretch replaced, removed or doubled, or with a large number written into it."""
    kind, found = random.integers(7), bytearray(data)
    at = int(random.integers(min(len(data), 4096) if random.random() < 0.7 else len(data)))
    length = int(random.integers(1, 64))
    if kind == 0:
        return bytes(found[:at])
    if kind == 1:
        for place in random.integers(len(found), size=random.integers(1, 16)).tolist():
            found[place] ^= 1 << int(random.integers(8))
    elif kind == 2:
        found[at] ^= 1 << int(random.integers(8))
    elif kind == 3:
        found[at : at + length] = random.bytes(length)
    elif kind == 4:
        del found[at : at + length]
    elif kind == 5:
        found[at:at] = found[at : at + length]
    else:
        found[at : at + 4] = bytes([255, 255, 255, int(random.integers(256))])
    return bytes(found)
