"""pymodbus's client in a process of its own, and mbpoll: the handshake, and what is refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
from tests.support.peers import free_port, need, until
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


def words(text: str, count: int = 32) -> list[int]:
    data = text.encode().ljust(2 * count, b"\0")
    return [data[at] << 8 | data[at + 1] for at in range(0, 2 * count, 2)]


class Served(NamedTuple):
    client: Client
    waits: int  # the port where results are acknowledged
    latest: int  # and the one where each stays until the next


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One station by both ways, which inspects nothing yet."""
    waits, latest = free_port(), free_port()
    tables = MODBUS.format(port=waits) + MODBUS.format(port=latest) + 'name = "latest"\nack = false\n'
    with running(line_settings(tmp_path_factory.mktemp("line"), LINE + "start = false\n" + tables)) as client:
        client.wait_ready()
        until(lambda: {each["state"] for each in client.ask("GET", "/connectors").body} == {"connected"})
        yield Served(client, waits, latest)


def test_a_plc_triggers_parts_one_by_one_and_what_cannot_be_done_changes_nothing(served: Served) -> None:
    client = served.client
    with plc(served.waits) as peer:
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
        assert peer.read(50, 48) == words("gear 7") + words("hash of gear", 16)
        assert peer.ask(0, [0]) == 0
        assert peer.ask(0, [1]) == 4  # Trigger, and the result was not acknowledged
        assert peer.ask(0, [2]) == 0
        assert peer.status() == ""
        assert peer.ask(0, [0]) == 0
        assert peer.status() == "ready"
        assert peer.ask(40, [1]) == 2
        _run_on(peer, client)
        beat = peer.read(41)
        until(lambda: peer.read(41) != beat)
    assert sent["part"] == "gear 7"


def test_mbpoll_reads_and_commands_and_each_result_stays_until_the_next(served: Served) -> None:
    client, port = served.client, served.latest
    client.ask("POST", "/stations/gears/commands/start_continuous")  # if it has not been started
    client.send("a", "accept")
    verdict, shown = poll(port, 40, 10)[3::6]
    assert verdict == 1
    client.send("b", "reject")
    found = poll(port, 40, 58)
    assert (found[0] & 4, found[3], found[8:10], found[10]) == (4, 3, [0, shown + 1], words("b")[0])
    assert poll(port, 1, 5) == []  # stop
    assert poll(port, 42, 1) == [4]
    assert poll(port, 0, 2) == []  # whoever acknowledges may: nothing is Valid
    assert poll(port, 40, 1) == [0]
    assert poll(port, 0, 0) == []
    assert poll(port, 40, 1) == [1]
    assert poll(port, 0, 1) == []  # Trigger
    assert client.send("c", "review").status == 200
    assert poll(port, 40, 10)[3::6] == [2, shown + 2]
    assert poll(port, 0, 0) == []
    assert poll(port, 0, 1) == []  # again, without Ack
    assert poll(port, 40, 4)[::3] == [2, 0]  # Busy, and no verdict


def poll(port: int, register: int, count: int) -> list[int]:
    """What mbpoll reads at registers from 40 on; below, `count` is written."""
    words = [need("mbpoll"), "-m", "tcp", "-p", str(port), "-0", "-1", "-r", str(register)]
    words += ["127.0.0.1", str(count)] if register < 40 else ["-c", str(count), "127.0.0.1"]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return [int(each) for each in re.findall(r"(?m)^\[\d+\]:\s+(\d+)", said)]


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
