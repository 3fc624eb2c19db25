"""Sparkplug B: the line is an edge node, each station a device; payloads are Eclipse Sparkplug 3.0's protocol buffers.

NBIRTH and DBIRTH with every metric, DDATA for parts and states, NDATA for alarms, NDEATH as the last will and at an
orderly end, one bdSeq a connection, seq from 0 to 255, and rebirth on command. Data goes by QoS 0, as it asks.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from blemish.errors import BlemishError
from blemish.serve.doors.connector import Link, run_together
from blemish.serve.doors.mqtt import connect_broker
from blemish.serve.doors.options import BrokerOptions
from blemish.serve.outbox import Letter
from blemish.serve.records import PartRecord

if TYPE_CHECKING:
    from aiomqtt import Client

_UINT64, _DOUBLE, _BOOLEAN, _STRING = 8, 10, 11, 12
"""Data types, as the standard numbers them."""
_VALUES = {_UINT64: "long_value", _DOUBLE: "double_value", _BOOLEAN: "boolean_value", _STRING: "string_value"}
_REBIRTH, _COMMAND = "Node Control/Rebirth", "Station Control/Command"
_CONTROLS = (_COMMAND, "Station Control/Recipe", "Station Control/Part", "Station Control/Product")
_MODULO = 256


class Metric(NamedTuple):
    """One value; None where there is none."""

    name: str
    value: bool | int | float | str | None
    kind: int = _STRING
    at: float = 0.0  # seconds since 1970; 0: now
    is_late: bool = False  # it is told of the past


class Sparkplug:
    """One edge node."""

    def __init__(self, options: BrokerOptions, link: Link) -> None:
        self.options, self.link = options, link
        self._births, self._seq = 0, 0
        self._turn = asyncio.Lock()
        self._news = asyncio.Event()
        self._changed: set[str] = set()  # stations; "" for the node

    def publish(self, kind: str, values: Mapping[str, Any]) -> None:
        """States and alarms are told as they come; parts come from the outbox."""
        if kind in ("state", "alarm"):
            self._changed.add(values.get("station", ""))
            self._news.set()

    async def run(self) -> None:
        """Until the broker is gone: LostConnection."""
        from aiomqtt import Will

        number, self._births = self._births, (self._births + 1) % _MODULO
        death = Metric("bdSeq", number, _UINT64)
        topic, payload = self._topic("NDEATH"), pack_metrics([death], None)
        async with connect_broker(self.options, Will(topic, payload, 1)) as client:
            for commands in (self._topic("NCMD"), self._topic("DCMD", "+")):
                await client.subscribe(commands, 1)
            since = time.time()
            await self._be_born(client, number)
            self.link.greet()
            try:
                await run_together(self._hear(client, number), self._tell(client), self._send(client, since))
            except asyncio.CancelledError:
                await client.publish(topic, payload, 1)
                raise

    def _topic(self, kind: str, device: str = "") -> str:
        return "/".join(filter(None, ("spBv1.0", self.options.topic, kind, self.options.node, device)))

    async def _say(self, client: Client, kind: str, metrics: Sequence[Metric], device: str = "") -> None:
        async with self._turn:
            seq, self._seq = self._seq, (self._seq + 1) % _MODULO
            await client.publish(self._topic(kind, device), pack_metrics(metrics, seq), 0)

    async def _be_born(self, client: Client, number: int) -> None:
        self._seq = 0
        node = [Metric("bdSeq", number, _UINT64), Metric(_REBIRTH, False, _BOOLEAN), self._alarms()]
        await self._say(client, "NBIRTH", node)
        for name in self.link.stations:
            controls = [Metric(each, "") for each in _CONTROLS if self.link.settings.commands]
            await self._say(client, "DBIRTH", [*self._state(name), *_part(None), *controls], name)

    def _alarms(self) -> Metric:
        return Metric("Alarms", "\n".join(self.link.front.alarms.values()))

    def _state(self, name: str) -> list[Metric]:
        said = self.link.stations[name].as_json()
        return [Metric(metric, said[key]) for metric, key in _OF_STATIONS.items()]

    async def _tell(self, client: Client) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._changed:
                if name := self._changed.pop():
                    await self._say(client, "DDATA", self._state(name), name)
                else:
                    await self._say(client, "NDATA", [self._alarms()])

    async def _send(self, client: Client, since: float) -> None:
        """What is in the outbox, in its order.

        By QoS 0 nothing is acknowledged; a subscription is, and with it what was sent before on the same connection.
        """
        while True:
            letters = await self.link.letters()
            for each in letters:
                await self._say(client, "DDATA", _part(each, since), each.record.station)
            await client.subscribe(self._topic("NCMD"), 1)
            await self.link.drop(letters)

    async def _hear(self, client: Client, number: int) -> None:
        async for message in client.messages:
            said, topic = _unpack(message.payload), str(message.topic)
            if topic == self._topic("NCMD") and said.get(_REBIRTH) is True:
                self.link.count("commands")
                await self._be_born(client, number)
            elif topic != self._topic("NCMD"):
                await self._obey(topic.rpartition("/")[2], said)

    async def _obey(self, station: str, said: Mapping[str, Any]) -> None:
        """A command that is refused is logged, counted, and told by an unchanged state."""
        command, recipe, part, product = (str(said.get(each, "")) for each in _CONTROLS)
        try:
            await self.link.command(station, command, recipe, part=part, product=product)
        except BlemishError:
            if station in self.link.stations:
                self._changed.add(station)
                self._news.set()


_OF_STATIONS = {"State": "state", "Recipe": "recipe", "Recipe Hash": "hash", "Product": "product"}
"""Metrics of a device, and what health calls them."""


def _part(letter: Letter | None, since: float = 0.0) -> list[Metric]:
    """Metrics of a record; without one, as they are named at birth."""
    record: PartRecord | None = letter.record if letter else None
    at, is_late = (record.answered, record.answered < since) if record else (0.0, False)
    found: list[tuple[str, Any, int]] = [
        ("Part", record and record.part, _STRING),
        ("Batch", record and record.batch, _STRING),
        ("Verdict", record and record.verdict, _STRING),
        ("Judged", record and record.judged, _STRING),
        ("Outcome", record and record.outcome, _STRING),
        ("Late", record and record.late, _BOOLEAN),
        ("Score", record and record.score, _DOUBLE),
        ("Types", record and json.dumps(list(record.types)), _STRING),
        ("Part Recipe Hash", record and record.recipe, _STRING),
        ("Error", record and record.error, _STRING),
    ]
    return [Metric(name, value, kind, at, is_late) for name, value, kind in found]


def pack_metrics(metrics: Sequence[Metric], seq: int | None) -> bytes:
    """A payload; without seq, as NDEATH has it."""
    payload, now = _payload_class()(), time.time()
    payload.timestamp = int(1000 * now)
    if seq is not None:
        payload.seq = seq
    for each in metrics:
        metric = payload.metrics.add()
        metric.name, metric.datatype, metric.timestamp = each.name, each.kind, int(1000 * (each.at or now))
        if each.is_late:
            metric.is_historical = True
        if each.value is None:
            metric.is_null = True
        else:
            setattr(metric, _VALUES[each.kind], each.value)
    return bytes(payload.SerializeToString())


def _unpack(data: object) -> dict[str, Any]:
    """Values by name; none of what is no payload."""
    from google.protobuf.message import DecodeError

    payload = _payload_class()()
    try:
        payload.ParseFromString(data)
    except (DecodeError, TypeError):
        return {}
    return {each.name: getattr(each, each.WhichOneof("value")) for each in payload.metrics if each.WhichOneof("value")}


_FIELDS = {
    "Payload": (
        ("timestamp", 1, "UINT64"), ("metrics", 2, "MESSAGE"), ("seq", 3, "UINT64"), ("uuid", 4, "STRING"),
        ("body", 5, "BYTES"),
    ),
    "Metric": (
        ("name", 1, "STRING"), ("alias", 2, "UINT64"), ("timestamp", 3, "UINT64"), ("datatype", 4, "UINT32"),
        ("is_historical", 5, "BOOL"), ("is_transient", 6, "BOOL"), ("is_null", 7, "BOOL"), ("int_value", 10, "UINT32"),
        ("long_value", 11, "UINT64"), ("float_value", 12, "FLOAT"), ("double_value", 13, "DOUBLE"),
        ("boolean_value", 14, "BOOL"), ("string_value", 15, "STRING"), ("bytes_value", 16, "BYTES"),
    ),
}  # fmt: skip
"""Of the standard's messages what is used here: field, number, type; what else a payload has, is skipped."""


@cache
def _payload_class() -> Any:
    """The class of the standard's payloads."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="blemish_sparkplug.proto", package="blemish", syntax="proto2")
    for message, fields in _FIELDS.items():
        made = file.message_type.add(name=message)
        if message == "Metric":
            made.oneof_decl.add(name="value")
        for name, number, kind in fields:
            field = made.field.add(name=name, number=number, label=3 if kind == "MESSAGE" else 1)
            field.type = getattr(descriptor_pb2.FieldDescriptorProto, f"TYPE_{kind}")
            if kind == "MESSAGE":
                field.type_name = ".blemish.Metric"
            if name.endswith("_value"):
                field.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("blemish.Payload"))
