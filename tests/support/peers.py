"""What a line's connectors talk to: brokers and servers of others, on this machine, each ended by who started it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import pytest

PATIENCE = 120.0


def until(found: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """The first true value, asked for again and again."""
    end = time.monotonic() + patience
    while not (value := found()):
        assert time.monotonic() < end, "never true"
        time.sleep(0.02)
    return value


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def need(program: str, package: str = "") -> str:
    """Skips by name where it is not installed; in CI that fails."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if found is None and not os.environ.get("CI"):
        pytest.skip(f"{program} is not there: apt-get install {package or program}")
    assert found, f"{program} is not there: .ci/run is to install it"
    return found


def need_module(name: str) -> str:
    """The folder where node finds it; skips by name where npm has not installed it, which in CI fails."""
    folder = Path(__file__).parents[2] / "build" / "node"
    found = (folder / "node_modules" / name).is_dir()
    if not found and not os.environ.get("CI"):
        pytest.skip(f"{name} is not there: npm install --prefix build/node {name}")
    assert found, f"{name} is not there: .ci/run is to install it"
    return str(folder / "node_modules")


class Mosquitto:
    """A broker that can be stopped and started; it keeps what it has acknowledged."""

    def __init__(self, folder: Path, pair: tuple[Path, Path] | None = None) -> None:
        """By TLS with a certificate and its key."""
        folder.mkdir()
        self.port, self.program, self.file = free_port(), need("mosquitto"), folder / "mosquitto.conf"
        self.file.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {folder}/\n"
            f"queue_qos0_messages true\n"
            f"user root\n" + (f"certfile {pair[0]}\nkeyfile {pair[1]}\n" if pair else "")
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self.program, "-c", str(self.file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(self._is_there)

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(PATIENCE)

    def _is_there(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Subscriber:
    """Everything that a broker has to say, in its order; what it misses, the broker keeps for it."""

    def __init__(self, port: int, topic: str, tls: ssl.SSLContext | None = None) -> None:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        self.topic = topic
        self.heard: list[tuple[str, bytes]] = []
        self.client = Client(CallbackAPIVersion.VERSION2, client_id="hears-all", clean_session=False)
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect = self._subscribe
        self.client.on_message = lambda _, __, message: self.heard.append((message.topic, bytes(message.payload)))
        if tls:
            self.client.tls_set_context(tls)
        self.client.connect_async("127.0.0.1", port)

    def __enter__(self) -> Self:
        self.client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def _subscribe(self, *_: object) -> None:
        self.client.subscribe(self.topic, 1)

    def of(self, topic: str) -> list[Any]:
        """What was said under it."""
        return [json.loads(payload) for heard, payload in list(self.heard) if heard == topic]

    def say(self, topic: str, payload: bytes | str) -> None:
        self.client.publish(topic, payload, 1)


@contextmanager
def receiver(answers: list[int]) -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """A web server's address and what was posted to it; it answers as the list says, and 200 when that is used up."""
    posted: list[tuple[dict[str, str], bytes]] = []

    class Receives(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status = answers.pop(0) if answers else 200
            if status == 200:
                posted.append((dict(self.headers.items()), body))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receives)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/parts?line=2", posted
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
