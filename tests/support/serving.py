"""A line for tests: settings, records, a server in a thread or a process."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import uvicorn
from tests.structure.source import ROOT
from tests.support.obedient import make_obedient

from blemish.serve.app import serve
from blemish.serve.judge import MakeJudge
from blemish.serve.records import PartRecord
from blemish.serve.settings import Keeping, LineSettings, StoreSettings, read_line
from blemish.serve.store import Store

LINE = """
[server]
port = 0
[store]
keep_free = 0
[[stations]]
name = "gears"
recipes = { gear = "gear.blemish", worn = "worn.blemish", broken = "broken.blemish" }
"""


def store_settings(folder: Path, *, size: int = 2**30, days: float = 30, **other: Any) -> StoreSettings:
    kept = {verdict: Keeping(days, size) for verdict in ("accept", "review", "reject")}
    return StoreSettings(folder, **{"url": "", "durable": False, "keep_free": 0, "retention": kept, **other})


def record(part: str = "1", **other: Any) -> PartRecord:
    usual = {"arrived": time.time(), "answered": time.time(), "outcome": "inspected", "verdict": "accept"}
    return PartRecord(**{"station": "gears", "part": part, **usual, **other})


def line_settings(folder: Path, text: str = LINE) -> LineSettings:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("gear", "worn", "broken"):
        (folder / f"{name}.blemish").touch()
    (folder / "line.toml").write_text(text, encoding="utf-8")
    return read_line(folder / "line.toml")


class Reply(NamedTuple):
    status: int
    body: Any
    headers: Mapping[str, str]


class Client:
    """Of a line that listens."""

    def __init__(self, port: int, *, token: str = "") -> None:
        self.port, self.headers = port, {"Authorization": f"Bearer {token}"} if token else {}

    def page(self, path: str, **headers: str) -> Reply:
        return self.ask("GET", path, prefix="", **headers)

    def ask(
        self, method: str, path: str, body: bytes | Any = None, *, prefix: str = "/api/v1", **headers: str
    ) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        kind = {} if isinstance(body, bytes) or body is None else {"Content-Type": "application/json"}
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, f"{prefix}{path}", sent, {**self.headers, **kind, **given})
            reply = connection.getresponse()
            found = reply.read()
        finally:
            connection.close()
        is_json = "json" in (reply.getheader("content-type") or "")
        return Reply(reply.status, json.loads(found) if is_json else found, dict(reply.getheaders()))

    def send(self, part: str, says: str, *, view: str = "front", station: str = "gears", **headers: str) -> Reply:
        return self.ask("POST", f"/stations/{station}/parts/{part}/views/{view}", says.encode(), **headers)

    def wait_for(self, path: str, fits: Callable[[Any], bool]) -> Any:
        """The first answer that fits."""
        until = time.monotonic() + 60
        while not fits(found := self.ask("GET", path).body):
            assert time.monotonic() < until, found
            time.sleep(0.05)
        return found

    def login(self, name: str, password: str) -> Client:
        """As that person."""
        reply = self.ask("POST", "/login", {"name": name, "password": password})
        assert reply.status == 200, reply
        found = Client(self.port)
        found.headers = {"Cookie": reply.headers["set-cookie"].partition(";")[0], "X-CSRF-Token": reply.body["csrf"]}
        return found

    def wait_ready(self) -> None:
        until = time.monotonic() + 60
        while self.ask("GET", "/ready").status != 200:
            assert time.monotonic() < until
            time.sleep(0.02)


@contextmanager
def running(settings: LineSettings, make: MakeJudge = make_obedient) -> Iterator[Client]:
    """The whole line: its front in a thread, its stations as processes."""
    found: list[uvicorn.Server] = []
    listens = threading.Event()

    def started(server: uvicorn.Server) -> None:
        found.append(server)
        listens.set()

    thread = threading.Thread(target=serve, args=(settings,), kwargs={"make": make, "started": started})
    thread.start()
    try:
        assert listens.wait(60)
        yield Client(port_of(found[0]))
    finally:
        for server in found:
            server.should_exit = True
        thread.join(60)
        assert not thread.is_alive()


@contextmanager
def process(does: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """One that may be killed, and says what it does on stdout."""
    paths = os.pathsep.join([str(ROOT.parent), str(Path(__file__).parents[2])])
    words = [sys.executable, "-m", "tests.support.serving_process", does, str(folder)]
    started = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": paths})
    assert started.stdout
    try:
        yield started
    finally:
        started.kill()
        started.wait()
        started.stdout.close()


def port_of(server: uvicorn.Server) -> int:
    return int(server.servers[0].sockets[0].getsockname()[1])


def record_for_ever(folder: str) -> None:
    """Each part is printed when it is reported; the one who reads kills this process."""
    with Store(store_settings(Path(folder))) as store:
        for number in range(10**6):
            store.add(record(str(number)))
            _print(str(number))


def serve_line(folder: str) -> None:
    """The port is printed when it listens."""
    serve(read_line(Path(folder)), make=make_obedient, started=lambda server: _print(str(port_of(server))))
    _print(f"ended, torch {'was' if 'torch' in sys.modules else 'was not'} imported")


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def do(what: str, folder: str) -> None:
    {"record": record_for_ever, "serve": serve_line}[what](folder)
