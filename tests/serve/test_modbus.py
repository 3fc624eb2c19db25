"""pymodbus's client in a process of its own: the handshake, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.peers import free_port, until
from tests.support.serving import LINE, Client, line_settings, running

MODBUS = '\n[[connectors]]\nkind = "modbus"\nport = {port}\ncommands = true\n'
PLC = """
import json, sys
from pymodbus.client import ModbusTcpClient
client = ModbusTcpClient("127.0.0.1", port=int(sys.argv[1]), timeout=10)
assert client.connect()
for line in sys.stdin:
    address, values = json.loads(line)
    if isinstance(values, int):
        found = client.read_input_registers(address, count=values, device_id=1)
        print(json.dumps(found.registers), flush=True)
        continue
    found = client.write_registers(address, values, device_id=1)
    print(json.dumps(found.exception_code if found.isError() else 0), flush=True)
"""


class Plc:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def ask(self, address: int, values: Any) -> Any:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps([address, values]) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def read(self, address: int, count: int = 1) -> list[int]:
        found: list[int] = self.ask(address, count)
        return found

    def status(self) -> str:
        names = ("ready", "busy", "valid", "error", "late", "cut")
        [bits] = self.read(40)
        return " ".join(name for number, name in enumerate(names) if bits >> number & 1)


@contextmanager
def plc(port: int) -> Iterator[Plc]:
    words = [sys.executable, "-c", PLC, str(port)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Plc(process)


def words(text: str) -> list[int]:
    data = text.encode().ljust(64, b"\0")
    return [data[at] << 8 | data[at + 1] for at in range(0, 64, 2)]


def test_a_plc_triggers_parts_one_by_one_and_what_cannot_be_done_changes_nothing(tmp_path: Path) -> None:
    port = free_port()
    with running(line_settings(tmp_path, LINE + "start = false\n" + MODBUS.format(port=port))) as client:
        client.wait_ready()
        until(lambda: client.ask("GET", "/connectors").body[0]["state"] == "connected")
        with plc(port) as peer:
            until(lambda: peer.status() == "ready")
            assert peer.read(42) == [4]  # Ready
            assert peer.ask(0, [2]) == 4  # Ack, and nothing is Valid
            assert peer.ask(1, [5]) == 4  # stop
            assert peer.ask(0, [1, 0, 0, *words("gear 7")]) == 0
            assert peer.status() == "busy"
            assert peer.ask(1, [4]) == 4  # start_continuous
            assert client.send("another", "accept").status == 409
            sent = client.send("gear%207", "reject").body
            until(lambda: peer.status() == "valid")
            assert peer.read(43, 5) == [3, 0, 0x3F40, 0, 1]  # reject, no fault, score 0.75, recipe 1
            assert peer.read(50, 32) == words("gear 7")
            assert peer.ask(0, [0]) == 0
            assert peer.ask(0, [1]) == 4  # Trigger, and the result was not acknowledged
            assert peer.ask(0, [2]) == 0
            assert peer.status() == ""
            assert peer.ask(0, [0]) == 0
            assert peer.status() == "ready"
            assert peer.ask(40, [1]) == 2
            _run_on(peer, client)
            assert peer.read(41)[0] != until(lambda: _other(peer, peer.read(41)[0]))
    assert sent["part"] == "gear 7"


def _other(peer: Plc, beat: int) -> int:
    [found] = peer.read(41)
    return found if found != beat else 0


def _run_on(peer: Plc, client: Client) -> None:
    """By itself, results are shown one after the other."""
    assert peer.ask(1, [4]) == 0
    assert client.send("x", "accept").status == 200
    assert client.send("y", "unreadable").status == 422
    seen = []
    for _ in range(2):
        until(lambda: "valid" in peer.status())
        seen.append((*peer.read(43, 2), bytes(peer.read(50)[0].to_bytes(2, "big"))))
        assert [peer.ask(0, [2]), peer.ask(0, [0])] == [0, 0]
    assert seen == [(1, 0, b"x\0"), (2, 2, b"y\0")]
    assert peer.ask(1, [1, 2]) == 0  # the second recipe
    until(lambda: peer.read(47) == [2])
    assert peer.ask(1, [1, 9]) == 4
    found = client.ask("GET", "/connectors").body[0]
    assert (found["counters"]["refused"], found["state"]) == (5, "connected")
    assert found["error"] == "gears: there is no recipe 9"
