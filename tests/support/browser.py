"""A real Chromium without a window, driven over the WebDriver protocol: HTTP and JSON, which need no package."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--force-prefers-reduced-motion",
)
KEYS = {
    "ArrowLeft": "\ue012",
    "ArrowUp": "\ue013",
    "ArrowRight": "\ue014",
    "ArrowDown": "\ue015",
    "Enter": "\ue007",
    "Escape": "\ue00c",
    "Home": "\ue011",
    "End": "\ue010",
    "Tab": "\ue004",
}
PATIENCE = 60.0


def missing() -> list[str]:
    """The programs that are not there."""
    return [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]


class Browser:
    """One window."""

    def __init__(self, width: int = 1400, height: int = 900) -> None:
        self.size = (width, height)

    def __enter__(self) -> Self:
        self._profile = tempfile.TemporaryDirectory(prefix="blemish-chromium-", ignore_cleanup_errors=True)
        port = _free_port()
        self._server = subprocess.Popen(
            ["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._root = f"http://127.0.0.1:{port}"
        self._wait_for_server()
        arguments = [
            *ARGUMENTS,
            f"--user-data-dir={self._profile.name}",
            f"--window-size={self.size[0]},{self.size[1]}",
        ]
        options = {"args": arguments, "binary": shutil.which("chromium")}
        wanted = {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}
        session = self._call("POST", "/session", {"capabilities": wanted})
        self._root += f"/session/{session['sessionId']}"
        return self

    def __exit__(self, *_: object) -> None:
        self._call("DELETE", "")
        self._server.terminate()
        self._server.wait(PATIENCE)
        self._profile.cleanup()

    def open(self, page: Path | str) -> None:
        """Load a file or an address; returns when its script has run."""
        self._call("POST", "/url", {"url": page if isinstance(page, str) else page.resolve().as_uri()})

    def run(self, script: str, *arguments: Any) -> Any:
        """What the body of a function returns, in the page; promises are waited for."""
        return self._call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def until(self, script: str, *arguments: Any) -> Any:
        """The first true value of an expression, asked for again and again."""
        end = time.monotonic() + PATIENCE
        while not (found := self.run(f"return {script}", *arguments)):
            assert time.monotonic() < end, f"never true: {script}"
            time.sleep(0.02)
        return found

    def press(self, *names: str) -> None:
        """Keys, one after the other, wherever the focus is."""
        strokes = [{"type": kind, "value": KEYS.get(name, name)} for name in names for kind in ("keyDown", "keyUp")]
        self._act({"type": "key", "id": "keyboard", "actions": strokes})

    def drag(self, selector: str, by: int) -> None:
        """Take hold of the middle of an element and pull it sideways."""
        x, y = self.run(
            "const box = document.querySelector(arguments[0]).getBoundingClientRect();"
            "return [Math.round(box.x + box.width / 2), Math.round(box.y + box.height / 2)]",
            selector,
        )
        moves = [
            {"type": "pointerMove", "duration": 0, "x": x, "y": y},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerMove", "duration": 40, "x": x + by // 2, "y": y},
            {"type": "pointerMove", "duration": 40, "x": x + by, "y": y},
            {"type": "pointerUp", "button": 0},
        ]
        self._act({"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": moves})

    def click(self, selector: str) -> None:
        """A click as a hand would do it: it needs the element to be in sight and uncovered."""
        found = self._call("POST", "/element", {"using": "css selector", "value": selector})
        self._call("POST", f"/element/{next(iter(found.values()))}/click", {})

    def emulate(self, screen: dict[str, Any] | None) -> None:
        """Another screen, as the Chrome DevTools protocol describes it; None: the window as it is."""
        name = "Emulation.setDeviceMetricsOverride" if screen else "Emulation.clearDeviceMetricsOverride"
        self._call("POST", "/goog/cdp/execute", {"cmd": name, "params": screen or {}})

    def screenshot(self) -> bytes:
        """PNG of the window."""
        return base64.b64decode(self._call("GET", "/screenshot"))

    def pdf(self) -> bytes:
        """The page on paper."""
        return base64.b64decode(self._call("POST", "/print", {"background": True}))

    def log(self) -> list[str]:
        """Errors and warnings of the page's console since it was last asked for."""
        return [entry["message"] for entry in self._call("POST", "/se/log", {"type": "browser"})]

    def _act(self, actions: dict[str, Any]) -> None:
        self._call("POST", "/actions", {"actions": [actions]})

    def _wait_for_server(self) -> None:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                if self._call("GET", "/status")["ready"]:
                    return
            except urllib.error.URLError:
                assert time.monotonic() < end, "chromedriver does not start"
            time.sleep(0.05)

    def _call(self, method: str, path: str, values: Any = None) -> Any:
        body = None if values is None else json.dumps(values).encode()
        request = urllib.request.Request(self._root + path, body, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{method} {path}: {error.read().decode()[:2000]}") from error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
