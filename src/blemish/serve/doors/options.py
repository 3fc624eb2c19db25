"""The tables `[[connectors]]` of `line.toml`: which doors a line has, and what each needs to know."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from blemish.errors import MissingExtra
from blemish.fields import Fields, is_text, one_of
from blemish.serve.keys import NAMES, file_at, flag_at, is_name, number_at


@dataclass(frozen=True, slots=True)
class BrokerOptions:
    """An MQTT broker, and what is said there."""

    host: str
    port: int
    topic: str  # with which all topics begin; of Sparkplug the group
    node: str  # of Sparkplug
    tls: bool
    ca: Path | None  # else what the system trusts
    certificate: Path | None
    key: Path | None
    user: str
    password: str


@dataclass(frozen=True, slots=True)
class ModbusOptions:
    """Where a Modbus server listens."""

    host: str
    port: int
    ack: bool  # whether each result stays until it is acknowledged; else until the next one


@dataclass(frozen=True, slots=True)
class WebhookOptions:
    """Where results are sent to."""

    url: str
    secret: bytes
    ca: Path | None
    seconds: float  # in which it must answer


@dataclass(frozen=True, slots=True)
class HookOptions:
    """A function of one's own."""

    file: Path
    function: str
    seconds: float  # in which it must return


@dataclass(frozen=True, slots=True)
class OpcuaOptions:
    """Where an OPC UA server listens, and by which certificate it is known."""

    host: str
    port: int
    certificate: Path | None
    key: Path | None
    clients: Path | None  # a folder of certificates that clients may have; None: any


Options = BrokerOptions | ModbusOptions | WebhookOptions | HookOptions | OpcuaOptions


@dataclass(frozen=True, slots=True)
class ConnectorSettings:
    """One door."""

    name: str
    kind: str
    stations: tuple[str, ...]
    commands: bool  # whether what comes through it may command
    keeps: bool  # what it has not handed on waits in the store
    options: Options


class DoorKind(NamedTuple):
    """Of doors: the class that is one, and how its table is read."""

    where: str  # module:class
    read: Callable[[Fields, Path], Options]
    keys: tuple[str, ...]
    extra: str = ""
    packages: tuple[str, ...] = ()
    keeps: bool = False
    may_command: bool = True

    def missing(self) -> list[str]:
        """Packages that it needs and that are not installed."""
        return [each for each in self.packages if not (find_spec(each.partition(".")[0]) and find_spec(each))]


def read_connectors(tables: Sequence[Fields], stations: Sequence[str], folder: Path) -> tuple[ConnectorSettings, ...]:
    """Raises BadInput with the line of what does not fit, and MissingExtra."""
    found = [_connector(section, stations, folder) for section in tables]
    for number, (each, section) in enumerate(zip(found, tables, strict=True)):
        if each.name in {other.name for other in found[:number]}:
            raise section.refused("name", f"{each.name} is there twice: name connectors differently")
    return tuple(found)


def letters_of(connectors: Sequence[ConnectorSettings], stations: Sequence[str]) -> dict[str, list[str]]:
    """By station: the connectors for which each of its records waits in the store."""
    return {name: [each.name for each in connectors if each.keeps and name in each.stations] for name in stations}


def _connector(section: Fields, stations: Sequence[str], folder: Path) -> ConnectorSettings:
    kinds = ", ".join(KINDS)
    if "kind" not in section.values:
        raise section.refused("kind", f"this key is needed: one of {kinds}")
    name = section.one("kind", "", one_of(KINDS), f"one of {kinds}")
    kind = KINDS[name]
    may = ("commands",) if kind.may_command else ()
    section.only("kind", "name", "stations", *may, *kind.keys)
    chosen = section.listed("stations", tuple(stations), one_of(stations), f"stations: {', '.join(stations)}")
    if missing := kind.missing():
        where = section.refused("kind", f"{name} needs {', '.join(missing)}")
        raise MissingExtra(f"{where}: pip install 'blemish[{kind.extra}]'")
    return ConnectorSettings(
        section.one("name", name, is_name, NAMES),
        name,
        chosen,
        kind.may_command and flag_at(section, "commands", usual=False),
        kind.keeps,
        kind.read(section, folder),
    )


def is_near(host: str) -> bool:
    """Whether only this machine can listen there, or hear."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_BROKER = ("host", "port", "tls", "ca", "certificate", "key", "user", "password_file")


def _broker(section: Fields, folder: Path, topic: str, node: str) -> BrokerOptions:
    tls, host = flag_at(section, "tls", usual=False), section.one("host", "127.0.0.1", is_text, "a broker's address")
    certificate, key = _pair(section, folder)
    user = section.one("user", "", is_text, "a name that the broker knows")
    if not tls and not is_near(host) and "password_file" in section.values:
        raise section.refused("tls", f"a password would go to {host} for all to read: set tls = true")
    return BrokerOptions(
        host,
        int(number_at(section, "port", 8883 if tls else 1883, 1, 65535, whole=True)),
        topic,
        node,
        tls,
        file_at(section, "ca", folder),
        certificate,
        key,
        user,
        _secret(section, "password_file", folder).decode(),
    )


def _secret(section: Fields, key: str, folder: Path) -> bytes:
    """What stands in a file, without the end of its line."""
    path = file_at(section, key, folder)
    found = path.read_bytes().strip() if path else b""
    if path and not found:
        raise section.refused(key, f"{path} is empty: write the secret to it")
    return found


def _is_topic(value: object) -> bool:
    return is_text(value) and not set("+#\0") & set(str(value)) and all(str(value).split("/"))


def _mqtt(section: Fields, folder: Path) -> BrokerOptions:
    topic = section.one("topic", "blemish", _is_topic, "a topic without + and #, such as plant/hall2")
    return _broker(section, folder, topic, "")


def _sparkplug(section: Fields, folder: Path) -> BrokerOptions:
    group, node = (section.one(key, "blemish", is_name, NAMES) for key in ("group", "node"))
    return _broker(section, folder, group, node)


def _modbus(section: Fields, _: Path) -> ModbusOptions:
    host = section.one("host", "127.0.0.1", is_text, "an address, such as 127.0.0.1 or 192.168.0.5")
    if not is_near(host) and not flag_at(section, "trust_network", usual=False):
        said = "whoever reaches it commands the line, for Modbus knows no passwords: set trust_network = true"
        raise section.refused("host", f"{said} where only the PLC can")
    port = int(number_at(section, "port", 502, 0, 65535, whole=True))
    return ModbusOptions(host, port, flag_at(section, "ack", usual=True))


def _opcua(section: Fields, folder: Path) -> OpcuaOptions:
    host = section.one("host", "127.0.0.1", is_text, "an address, such as 127.0.0.1 or 192.168.0.5")
    certificate, key = _pair(section, folder)
    if certificate is None and not is_near(host):
        raise section.refused(
            "host", f"{host} can be reached by others: give certificate and key, or listen on 127.0.0.1"
        )
    clients = folder / section.one("clients", "", is_text, "a folder") if "clients" in section.values else None
    if clients and not clients.is_dir():
        raise section.refused("clients", f"{clients} is no folder of certificates")
    port = int(number_at(section, "port", 4840, 0, 65535, whole=True))
    return OpcuaOptions(host, port, certificate, key, clients)


def _pair(section: Fields, folder: Path) -> tuple[Path | None, Path | None]:
    certificate, key = file_at(section, "certificate", folder), file_at(section, "key", folder)
    if (certificate is None) != (key is None):
        raise section.refused("certificate", "certificate and key go together: give both, or neither")
    return certificate, key


def _webhook(section: Fields, folder: Path) -> WebhookOptions:
    section.only(*section.values, needed=("url", "secret_file"))
    url = section.one("url", "", is_text, "an address, such as https://mes.example/parts")
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_near(parts.hostname or "")):
        raise section.misfit("url", url, "an address that begins with https://, or http:// on this machine")
    seconds = number_at(section, "seconds", 10, 0.1, 300)
    return WebhookOptions(url, _secret(section, "secret_file", folder), file_at(section, "ca", folder), seconds)


def _hook(section: Fields, folder: Path) -> HookOptions:
    section.only(*section.values, needed=("file",))
    path = file_at(section, "file", folder)
    assert path
    function = section.one("function", "send", lambda value: is_text(value) and value.isidentifier(), "a function")
    return HookOptions(Path(os.path.abspath(path)), function, number_at(section, "seconds", 10, 0.1, 3600))


_DOORS = "blemish.serve.doors"
KINDS: Mapping[str, DoorKind] = {
    "mqtt": DoorKind(f"{_DOORS}.mqtt:Mqtt", _mqtt, ("topic", *_BROKER), "mqtt", ("aiomqtt",), keeps=True),
    "sparkplug": DoorKind(
        f"{_DOORS}.sparkplug:Sparkplug",
        _sparkplug,
        ("group", "node", *_BROKER),
        "mqtt",
        ("aiomqtt", "google.protobuf"),
        keeps=True,
    ),
    "modbus": DoorKind(
        f"{_DOORS}.modbus:Modbus", _modbus, ("host", "port", "ack", "trust_network"), "modbus", ("pymodbus",)
    ),
    "opcua": DoorKind(
        f"{_DOORS}.opcua:OpcUa", _opcua, ("host", "port", "certificate", "key", "clients"), "opcua", ("asyncua",)
    ),
    "webhook": DoorKind(
        f"{_DOORS}.webhook:Webhook", _webhook, ("url", "secret_file", "ca", "seconds"), keeps=True, may_command=False
    ),
    "hook": DoorKind(f"{_DOORS}.hook:Hook", _hook, ("file", "function", "seconds"), keeps=True, may_command=False),
}
