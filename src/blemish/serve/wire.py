"""Messages between the front and a station, over a pair of sockets: a JSON object each, and bytes that belong to it."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

SWITCH_SECONDS = 0.0005
"""After which a thread that computes lets others go on; Python's own 5 ms are longer than most answers take."""
_SIZES = struct.Struct(">IQ")  # of what is said, and of the bytes


class Message(NamedTuple):
    """What one process says to the other."""

    kind: str
    values: Mapping[str, Any]
    content: bytes = b""


def pack_message(message: Message) -> tuple[bytes, bytes]:
    """What is sent, the second as it is."""
    said = json.dumps([message.kind, dict(message.values)]).encode()
    return _SIZES.pack(len(said), len(message.content)) + said, message.content


class Unpacker:
    """Messages out of bytes as they come."""

    def __init__(self) -> None:
        self._left = bytearray()

    def add(self, data: bytes) -> Iterator[Message]:
        """Those that are whole now."""
        self._left += data
        while len(self._left) >= _SIZES.size:
            said, more = _SIZES.unpack_from(self._left)
            start, end = _SIZES.size + said, _SIZES.size + said + more
            if len(self._left) < end:
                return
            kind, values = json.loads(self._left[_SIZES.size : start])
            content = bytes(self._left[start:end])
            del self._left[:end]
            yield Message(kind, values, content)


class Wire:
    """A station's end; any thread may send, one receives."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection, self._lock = connection, threading.Lock()

    def send(self, kind: str, values: Mapping[str, Any]) -> None:
        """Raises OSError when the front has ended."""
        with self._lock:
            self.connection.sendall(pack_message(Message(kind, values))[0])

    def receive(self) -> Message:
        """The next one; raises EOFError or OSError when the front has ended."""
        said, more = _SIZES.unpack(self._exactly(_SIZES.size))
        kind, values = json.loads(self._exactly(said))
        return Message(kind, values, self._exactly(more) if more else b"")

    def _exactly(self, size: int) -> bytes:
        found = self.connection.recv(size, socket.MSG_WAITALL)
        while len(found) < size:
            piece = self.connection.recv(size - len(found), socket.MSG_WAITALL)
            if not piece:
                raise EOFError("the front has ended")
            found += piece
        return found
