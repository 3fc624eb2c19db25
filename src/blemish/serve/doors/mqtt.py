"""MQTT: results and states as JSON, commands, and a last will; what the broker has not acknowledged stays in the store.

Under the connector's topic: STATION/part, STATION/judged (the true result of what was late), STATION/state (retained),
`online` (retained; false is the last will), and with commands STATION/command, answered at STATION/answer.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from blemish.errors import BlemishError
from blemish.serve.doors.connector import Link, LostConnection, run_together
from blemish.serve.doors.options import BrokerOptions

if TYPE_CHECKING:
    from aiomqtt import Client, Will

LARGEST_COMMAND = 4096
_PATIENCE = 10.0
"""Seconds in which a broker must answer."""


class Mqtt:
    """One connection to a broker."""

    def __init__(self, options: BrokerOptions, link: Link) -> None:
        self.options, self.link = options, link
        self._news = asyncio.Event()
        self._changed: set[str] = set()  # stations whose state was not told

    def publish(self, kind: str, values: Mapping[str, Any]) -> None:
        """States are told as they come; parts come from the outbox."""
        if kind == "state":
            self._changed.add(values["station"])
            self._news.set()

    async def run(self) -> None:
        """Until the broker is gone: LostConnection."""
        from aiomqtt import Will

        online = f"{self.options.topic}/online"
        async with connect_broker(self.options, Will(online, "false", 1, True)) as client:
            await client.publish(online, "true", 1, True)
            await client.subscribe(f"{self.options.topic}/+/command", 1)
            self._changed = set(self.link.stations)
            self._news.set()
            self.link.greet()
            try:
                await run_together(self._hear(client), self._tell_states(client), self._send(client))
            except asyncio.CancelledError:
                await client.publish(online, "false", 1, True)
                raise

    async def _send(self, client: Client) -> None:
        """What is in the outbox, in its order; what the broker has acknowledged is removed."""
        while True:
            letters = await self.link.letters()
            said = [(f"{each.record.station}/{each.kind}", json.dumps(each.record.as_json())) for each in letters]
            works = [client.publish(f"{self.options.topic}/{topic}", text, 1) for topic, text in said]
            found = await asyncio.gather(*works, return_exceptions=True)
            await self.link.drop([each for each, error in zip(letters, found, strict=True) if error is None])
            for error in filter(None, found):
                raise error

    async def _tell_states(self, client: Client) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._changed:
                name = self._changed.pop()
                said = json.dumps(self.link.stations[name].as_json())
                await client.publish(f"{self.options.topic}/{name}/state", said, 1, True)

    async def _hear(self, client: Client) -> None:
        async for message in client.messages:
            station = str(message.topic).removeprefix(f"{self.options.topic}/").removesuffix("/command")
            if station in self.link.stations and not message.retain:
                answer = await self._obey(station, message.payload)
                await client.publish(f"{self.options.topic}/{station}/answer", json.dumps(answer), 1)

    async def _obey(self, station: str, payload: object) -> dict[str, Any]:
        """{"command": ..., "recipe": ..., "part": ..., "product": ..., "id": ...} -> what became of it."""
        asked = _words(payload)
        if asked is None:
            self.link.refuse(f"{station}: a command that is no JSON object of a few words")
            return {"error": 'send a JSON object of words, such as {"command": "stop"}'}
        said = {"id": asked.get("id", ""), "command": asked.get("command", "")}
        try:
            await self.link.command(
                station, said["command"], asked.get("recipe", ""), part=asked.get("part", ""),
                product=asked.get("product", ""),
            )  # fmt: skip
        except BlemishError as error:
            return {**said, "error": str(error)}
        return {**said, "state": self.link.stations[station].as_json()["state"]}


def _words(payload: object) -> dict[str, str] | None:
    """The object of words in a message, if it is one."""
    with suppress(ValueError, RecursionError):
        if isinstance(payload, bytes | bytearray) and len(payload) <= LARGEST_COMMAND:
            found = json.loads(payload)
            if isinstance(found, dict) and all(isinstance(each, str) for each in found.values()):
                return found
    return None


@asynccontextmanager
async def connect_broker(options: BrokerOptions, will: Will) -> AsyncIterator[Client]:
    """Raises LostConnection for whatever ends it."""
    from aiomqtt import Client, MqttError

    context = None
    if options.tls:
        context = ssl.create_default_context(cafile=options.ca)
        if options.certificate:
            context.load_cert_chain(options.certificate, options.key)
    try:
        async with Client(
            options.host,
            options.port,
            username=options.user or None,
            password=options.password or None,
            will=will,
            tls_context=context,
            timeout=_PATIENCE,
            max_queued_incoming_messages=100,
        ) as client:
            yield client
    except MqttError as error:
        raise LostConnection(f"{options.host}:{options.port}: {error}") from error
