"""The demonstration, seen through every door at once; killed and started again."""

from __future__ import annotations

import csv
import dataclasses
import importlib.util
import json
import os
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ModbusException
from tests.structure.source import ROOT
from tests.support.parts import frozen, good
from tests.support.peers import PATIENCE, Mosquitto, free_port, need, until
from tests.support.serving import LINE, line_settings

from blemish.cli.main import main
from blemish.recipes import recipe as recipes
from blemish.recipes.calibrate import HoldoutScheme, calibrate
from blemish.serve.demo_doors import open_doors, spell_doors
from blemish.serve.doors import options
from blemish.serve.outbox import list_letters
from blemish.serve.settings import read_line
from blemish.serve.store import look_at_store

Seen = dict[str, tuple[str, str]]
"""By part: verdict, and the hash of the recipe that judged."""
EXAMPLES = ROOT.parents[1] / "examples"
VERDICTS = ("", "accept", "review", "reject")
MAKING = 600.0
"""Seconds in which a demonstration makes its recipe, on a machine that does other things too."""


class Doors:
    """Where the line's are, and what a client at each of them saw."""

    def __init__(self, folder: Path, broker: int) -> None:
        self.folder, self.http, self.modbus, self.opcua = folder, free_port(), free_port(), free_port()
        tables = {"mqtt": broker, "sparkplug": broker, "modbus": self.modbus, "opcua": self.opcua}
        text = (EXAMPLES / "line.toml").read_text(encoding="utf-8")
        text = text.replace("port = 8420", f"port = {self.http}")
        for kind, port in tables.items():
            text += f'\n[[connectors]]\nkind = "{kind}"\nport = {port}\n' + "ack = false\n" * (kind == "modbus")
        (folder / "line.toml").write_text(text, encoding="utf-8")
        self.seen: dict[str, Seen] = {name: {} for name in ("http", "mqtt", "opcua", "modbus")}

    def common(self) -> set[str]:
        return set.intersection(*({*each} for each in self.seen.values()))

    def hear_http(self, ends: threading.Event) -> None:
        words = [need("curl"), "-sN", f"http://127.0.0.1:{self.http}/api/v1/events"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as curl:
            assert curl.stdout
            kind = ""
            for line in curl.stdout:
                kind = line[7:].strip() if line.startswith("event: ") else kind
                if kind == "part" and line.startswith("data: "):
                    self._note("http", json.loads(line[6:]))
                if ends.is_set():
                    break
            curl.kill()

    def hear_modbus(self, ends: threading.Event) -> None:
        client = ModbusTcpClient("127.0.0.1", port=self.modbus, timeout=5, retries=0)
        while not ends.wait(0.05):
            with suppress(ModbusException, OSError):
                if not (client.connected or client.connect()):
                    continue
                found = client.read_holding_registers(40, count=58, device_id=1).registers
                if len(found) == 58 and found[0] & 4:
                    part, recipe = (struct.pack(f">{len(each)}H", *each) for each in (found[10:42], found[42:]))
                    self.seen["modbus"][part.rstrip(b"\0").decode()] = VERDICTS[found[3]], recipe.hex()
        client.close()

    def hear_opcua(self, ends: threading.Event) -> None:
        """By the example of the documentation."""
        words = [sys.executable, str(EXAMPLES / "opcua_results.py"), f"opc.tcp://127.0.0.1:{self.opcua}/", "gears"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as client:
            assert client.stdout
            for line in client.stdout:
                part, verdict, recipe = line.split()
                self.seen["opcua"][part] = verdict, recipe
                if ends.is_set():
                    break
            client.kill()

    def hear_mqtt(self, heard: Any) -> None:
        for line in heard:
            self._note("mqtt", json.loads(line))

    def _note(self, door: str, record: dict[str, str]) -> None:
        self.seen[door][record["part"]] = record["verdict"], record["recipe"]


@contextmanager
def demonstration(doors: Doors) -> Iterator[subprocess.Popen[bytes]]:
    """With a client at each of its doors, all of which end with it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT.parent), "PYTHONUNBUFFERED": "1"}
    words = [sys.executable, "-m", "blemish", "serve", "line.toml", "--demo"]
    with (doors.folder / "said").open("ab") as said:
        serving = subprocess.Popen(words, cwd=doors.folder, stdout=said, stderr=said, env=environment)
    ends = threading.Event()
    works: list[Callable[[threading.Event], None]] = [doors.hear_http, doors.hear_modbus, doors.hear_opcua]
    threads = [threading.Thread(target=work, args=(ends,)) for work in works]
    try:
        until(lambda: _is_open(doors, serving), MAKING)
        for each in threads:
            each.start()
        yield serving
    finally:
        serving.kill()
        serving.wait()
        ends.set()
        for each in threads:
            if each.ident:
                each.join(60)


def _is_open(doors: Doors, serving: subprocess.Popen[bytes]) -> bool:
    assert serving.poll() is None, (doors.folder / "said").read_text(encoding="utf-8")
    words = [need("curl"), "-s", f"http://127.0.0.1:{doors.http}/api/v1/connectors"]
    found = subprocess.run(words, capture_output=True, check=False).stdout
    return bool(found) and {each["state"] for each in json.loads(found)} == {"connected"}


@contextmanager
def subscriber(doors: Doors, broker: int) -> Iterator[None]:
    words = [need("mosquitto_sub", "mosquitto-clients"), "-p", str(broker), "-c", "-i", "reader", "-q", "1"]
    with subprocess.Popen([*words, "-t", "blemish/gears/part"], stdout=subprocess.PIPE, text=True) as hears:
        thread = threading.Thread(target=doors.hear_mqtt, args=(hears.stdout,))
        thread.start()
        try:
            yield
        finally:
            hears.terminate()
            thread.join(60)


def test_doors_that_are_installed_are_open_to_this_machine_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = '[[connectors]]\nkind = "mqtt"\nname = "plant"\nhost = "broker.example"\n'
    asked = line_settings(tmp_path, f'{LINE}{far}[[connectors]]\nkind = "modbus"\nport = 6000\n')
    find = importlib.util.find_spec
    monkeypatch.setattr(options, "find_spec", lambda name: None if name == "asyncua" else find(name))
    demo = dataclasses.replace(asked, connectors=open_doors(asked))
    assert [(each.name, each.commands) for each in demo.connectors] == [
        ("modbus", False), ("mqtt", True), ("sparkplug", True),
    ]  # fmt: skip
    assert spell_doors(asked, demo) == [
        "modbus: 127.0.0.1:6000",
        "mqtt: through the broker at 127.0.0.1:1883, as soon as there is one",
        "sparkplug: through the broker at 127.0.0.1:1883, as soon as there is one",
        "plant: left out, since it leads to other machines",
        "opcua: not installed; pip install 'blemish[opcua]'",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("made", [False, True])
def test_every_door_shows_the_same_parts_and_none_is_missing_after_a_kill(tmp_path: Path, made: bool) -> None:
    """made: by the demonstration itself, which takes a minute; else its recipe is there."""
    if not made:
        way = HoldoutScheme("split", every_picture=True)
        recipe = calibrate(frozen("patchcore", good(tmp_path / "good", 3)), good(tmp_path / "other", 8, 20), way=way)
        (tmp_path / "blemish-demo").mkdir()
        recipes.save(recipe, tmp_path / "blemish-demo" / "gear.blemish")
    with Mosquitto(tmp_path / "broker") as broker:
        doors = Doors(tmp_path, broker.port)
        with subscriber(doors, broker.port):
            with demonstration(doors):
                before = until(lambda: doors.common() if len(doors.common()) > 2 else None)
            with demonstration(doors) as serving:  # the first one was killed
                until(lambda: len(doors.common() - before) > 2)
                serving.send_signal(signal.SIGINT)
                assert serving.wait(PATIENCE) == 0
            _compare(doors)


def _compare(doors: Doors) -> None:
    line = doors.folder / "blemish-demo" / "line.toml"
    found = CliRunner().invoke(main, ["audit", "verify", str(line)])
    assert found.exit_code == 0, found.output
    found = CliRunner().invoke(main, ["records", str(line), "--out", str(doors.folder / "parts.csv")])
    assert found.exit_code == 0, found.output
    with (doors.folder / "parts.csv").open(encoding="utf-8", newline="") as file:
        stored = {each["part"]: (each["verdict"], each["recipe"]) for each in csv.DictReader(file)}
    with look_at_store(read_line(line, made=True).store) as connection:
        waiting = {each.record.part for each in list_letters(connection, "mqtt", 999)}
    until(lambda: {*doors.seen["mqtt"]} | waiting == {*stored})  # the broker may still have some of them
    for name, seen in doors.seen.items():
        assert seen.items() <= stored.items(), name
    said = (doors.folder / "said").read_text(encoding="utf-8")
    assert f"modbus: 127.0.0.1:{doors.modbus}" in said
