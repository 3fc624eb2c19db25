"""Messages between the front and a station: a JSON object each, and bytes that belong to it."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any, NamedTuple


class Message(NamedTuple):
    """What one process says to the other."""

    kind: str
    values: Mapping[str, Any]
    content: bytes = b""


class Wire:
    """One end of a connection; any thread may send."""

    def __init__(self, connection: Connection) -> None:
        self.connection, self._lock = connection, threading.Lock()

    def send(self, kind: str, values: Mapping[str, Any], content: bytes = b"") -> None:
        """Raises OSError when the other process has ended."""
        head = json.dumps([kind, dict(values), bool(content)]).encode()
        with self._lock:
            self.connection.send_bytes(head)
            if content:
                self.connection.send_bytes(content)

    def receive(self) -> Message:
        """The next one; raises EOFError or OSError when the other process has ended."""
        kind, values, has_content = json.loads(self.connection.recv_bytes())
        return Message(kind, values, self.connection.recv_bytes() if has_content else b"")
