"""A Sparkplug host that reads payloads by the standard's own numbers, over TLS."""

from __future__ import annotations

import ssl
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.certificates import certify
from tests.support.peers import Mosquitto, Subscriber, until
from tests.support.serving import LINE, Client, line_settings, running

TABLE = """
[[connectors]]
kind = "sparkplug"
port = {port}
group = "plant"
node = "hall2"
commands = true
tls = true
ca = "authority.crt"
"""
Message = tuple[str, dict[str, Any], int | None]


def test_a_host_follows_an_edge_node_from_birth_to_death(tmp_path: Path) -> None:
    ca = certify(tmp_path, "authority")
    pair = certify(tmp_path, "broker", ca=ca)
    with Mosquitto(tmp_path / "broker", pair) as broker:
        context = ssl.create_default_context(cafile=ca.certificate)
        with Subscriber(broker.port, "spBv1.0/plant/#", context) as host:
            with running(line_settings(tmp_path, LINE + TABLE.format(port=broker.port))) as client:
                _live(host, client)
                broker.stop()
                client.send("missed", "reject")
                until(lambda: client.ask("GET", "/connectors").body[0]["state"] == "connecting")
                broker.start()
                until(lambda: [each for each in _said(host, "DDATA/hall2/gears") if each[1].get("Part") == "missed"])
            until(lambda: len(_said(host, "NDEATH/hall2")) >= 2)
    births, deaths = (_said(host, f"{kind}/hall2") for kind in ("NBIRTH", "NDEATH"))
    assert [each[1]["bdSeq"] for each in births] == [0, 0, 1]  # the second is by command
    assert [each[1]["bdSeq"] for each in deaths][-1] == 1
    assert {each[2] for each in births} == {0}
    assert {each[2] for each in deaths} == {None}


def _live(host: Subscriber, client: Client) -> None:
    until(lambda: _said(host, "DBIRTH/hall2/gears"))
    born = _said(host, "DBIRTH/hall2/gears")[0]
    assert born[2] == 1
    assert {"State", "Recipe Hash", "Part", "Verdict", "Score", "Station Control/Command"} <= set(born[1])
    until(lambda: client.ask("GET", "/health").body["stations"][0]["state"] == "Operational.ContinuousExecution")
    client.send("7", "reject")
    until(lambda: [each for each in _said(host, "DDATA/hall2/gears") if "Part" in each[1]])
    part = _said(host, "DDATA/hall2/gears")[-1][1]
    assert (part["Part"], part["Verdict"], part["Score"], part["Late"]) == ("7", "reject", 0.75, 0)
    assert part["Part Recipe Hash"] == "hash of gear"
    host.say("spBv1.0/plant/DCMD/hall2/gears", _command("Station Control/Command", 12, b"stop"))
    until(lambda: _said(host, "DDATA/hall2/gears")[-1][1].get("State") == "Operational.Ready")
    host.say("spBv1.0/plant/DCMD/hall2/gears", _command("Station Control/Command", 12, b"stop"))
    until(lambda: client.ask("GET", "/connectors").body[0]["counters"].get("refused") == 1)
    host.say("spBv1.0/plant/NCMD/hall2", b"\xff")
    host.say("spBv1.0/plant/NCMD/hall2", _command("Node Control/Rebirth", 11, 1))
    until(lambda: len(_said(host, "DBIRTH/hall2/gears")) == 2)
    seqs = [each[2] for each in _each(host) if each[2] is not None]
    again = seqs.index(0, 1)
    assert seqs[:again] == list(range(again))
    assert seqs[again:] == list(range(len(seqs) - again))
    client.ask("POST", "/stations/gears/commands/start_continuous")


def _each(host: Subscriber) -> list[Message]:
    return [(topic, *_payload(data)) for topic, data in list(host.heard) if "CMD" not in topic]


def _said(host: Subscriber, topic: str) -> list[Message]:
    return [each for each in _each(host) if each[0] == f"spBv1.0/plant/{topic}"]


def _payload(data: bytes) -> tuple[dict[str, Any], int | None]:
    """Metrics (field 2) by name, and seq (field 3)."""
    fields = list(_fields(data))
    metrics = [dict(_fields(value)) for number, value in fields if number == 2]
    return {each[1].decode(): _value(each) for each in metrics}, dict(fields).get(3)


def _value(metric: dict[int, Any]) -> Any:
    """Field 4 is the data type, 7 says that there is no value; 11 to 15 hold one."""
    if metric.get(7):
        return None
    found = {8: 11, 10: 13, 11: 14, 12: 15}[metric[4]]
    return metric[found].decode() if found == 15 else metric[found]


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        if key & 7 == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
        elif key & 7 == 1:
            yield key >> 3, struct.unpack_from("<d", data, at)[0]
            at += 8
        else:
            size, at = _varint(data, at)
            yield key >> 3, data[at : at + size]
            at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return value, at


def _command(name: str, kind: int, value: bytes | int) -> bytes:
    metric = bytes([1 << 3 | 2, len(name)]) + name.encode() + bytes([4 << 3, kind])
    if isinstance(value, int):
        metric += bytes([14 << 3, value])
    else:
        metric += bytes([15 << 3 | 2, len(value)]) + value
    return bytes([2 << 3 | 2, len(metric)]) + metric
