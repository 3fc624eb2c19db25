"""What happens on the line, told to everyone who listens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from blemish.errors import BadInput

MOST_LISTENERS, MOST_WAITING = 64, 256
KEEP_ALIVE_SECONDS = 15.0
RETRY_MS = 1000
"""After which a browser that lost the line asks again."""


class TooManyListeners(BadInput):
    """As many listen as may."""


class Broker:
    """Hands events on; whoever is slow loses the oldest, and is told how many."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Queue[str]] = set()
        self._lost: dict[int, int] = {}
        self._followers: list[Callable[[str, Mapping[str, Any]], None]] = []
        self._is_closed = False

    def tell(self, kind: str, values: Mapping[str, Any]) -> None:
        """From the event loop's thread; never waits."""
        for told in self._followers:
            told(kind, values)
        if not self._listeners:
            return
        text = _event(kind, values)
        for queue in self._listeners:
            if queue.full():
                queue.get_nowait()
                self._lost[id(queue)] = self._lost.get(id(queue), 0) + 1
            queue.put_nowait(text)

    def follow(self, told: Callable[[str, Mapping[str, Any]], None]) -> None:
        """Tell a function, which never waits, of everything from now on."""
        self._followers.append(told)

    async def listen(self) -> AsyncIterator[str]:
        """Server-sent events until the line ends; raises TooManyListeners."""
        if len(self._listeners) >= MOST_LISTENERS:
            raise TooManyListeners(f"{MOST_LISTENERS} listen to events already: close one")
        queue: asyncio.Queue[str] = asyncio.Queue(MOST_WAITING)
        self._listeners.add(queue)
        try:
            yield f"retry: {RETRY_MS}\n\n"
            while not self._is_closed:
                try:
                    text = await asyncio.wait_for(queue.get(), KEEP_ALIVE_SECONDS)
                except TimeoutError:
                    text = _event("here", {})
                if lost := self._lost.pop(id(queue), 0):
                    yield _event("lost", {"events": lost})
                if text:
                    yield text
        finally:
            self._listeners.discard(queue)
            self._lost.pop(id(queue), None)

    def close(self) -> None:
        """Let everyone go."""
        self._is_closed = True
        for queue in self._listeners:
            if not queue.full():
                queue.put_nowait("")


def _event(kind: str, values: Mapping[str, Any]) -> str:
    return f"event: {kind}\ndata: {json.dumps(dict(values))}\n\n"
