"""Doors of a demonstration: all that are installed, and open to this machine alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from blemish.fields import Fields
from blemish.serve.doors.options import (
    KINDS,
    BrokerOptions,
    ConnectorSettings,
    ModbusOptions,
    OpcuaOptions,
    is_near,
    read_connectors,
)
from blemish.serve.settings import LineSettings

DOORS: Mapping[str, Mapping[str, Any]] = {
    "mqtt": {}, "sparkplug": {}, "modbus": {"port": 5020, "ack": False}, "opcua": {},
}  # fmt: skip
"""What the tables of a demonstration say; at Modbus's own port, below 1024, not everyone may listen."""


def open_doors(settings: LineSettings) -> tuple[ConnectorSettings, ...]:
    """The line's own, but for those to other machines, and of each other kind that is installed one."""
    own = tuple(each for each in settings.connectors if _is_near(each))
    kinds = [kind for kind in DOORS if kind not in {each.kind for each in own} and not KINDS[kind].missing()]
    tables = [Fields("the demonstration", "", {"kind": kind, "commands": True, **DOORS[kind]}) for kind in kinds]
    return (*own, *read_connectors(tables, [each.name for each in settings.stations], Path()))


def spell_doors(asked: LineSettings, demo: LineSettings) -> list[str]:
    """Where each is, a sentence each, and which are not there."""
    said = [f"{each.name}: {_spell(each)}" for each in demo.connectors]
    said += [
        f"{each.name}: left out, since it leads to other machines" for each in asked.connectors if not _is_near(each)
    ]
    gone = [kind for kind in DOORS if kind not in {each.kind for each in demo.connectors}]
    return said + [f"{kind}: not installed; pip install 'blemish[{KINDS[kind].extra}]'" for kind in gone]


def _is_near(connector: ConnectorSettings) -> bool:
    """Whether it tells no other machine of parts that are drawn."""
    options = connector.options
    return is_near(getattr(options, "host", "") or urlsplit(getattr(options, "url", "")).hostname or "localhost")


def _spell(connector: ConnectorSettings) -> str:
    options = connector.options
    if isinstance(options, BrokerOptions):
        return f"through the broker at {options.host}:{options.port}, as soon as there is one"
    if isinstance(options, ModbusOptions | OpcuaOptions):
        return f"{options.host}:{options.port}"
    return "as its table says"
