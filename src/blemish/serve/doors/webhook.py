"""A webhook: each record is posted as JSON, signed, in order, until it is taken.

`Blemish-Signature` is the HMAC-SHA256, by the shared secret, of what `Blemish-Timestamp` says, a dot, and the body.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import ssl
import time
from collections.abc import Mapping
from hashlib import sha256
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from blemish.serve.doors.connector import Link, LostConnection
from blemish.serve.doors.options import WebhookOptions
from blemish.serve.outbox import Letter


class Webhook:
    """One address."""

    def __init__(self, options: WebhookOptions, link: Link) -> None:
        self.options, self.link = options, link

    def publish(self, kind: str, values: Mapping[str, Any]) -> None:
        """Parts come from the outbox, and nothing else is posted."""

    async def run(self) -> None:
        """Until something is not taken: LostConnection."""
        while True:
            for letter in await self.link.letters():
                await asyncio.to_thread(self._post, letter)
                self.link.greet()
                await self.link.drop([letter])

    def _post(self, letter: Letter) -> None:
        body = json.dumps({"kind": letter.kind, **letter.record.as_json()}).encode()
        stamp, number = str(int(time.time())), f"{self.link.settings.name}-{letter.number}"
        headers = {
            "Content-Type": "application/json",
            "Blemish-Delivery": number,
            "Blemish-Timestamp": stamp,
            "Blemish-Signature": sign_body(self.options.secret, stamp, body),
        }
        where = urlsplit(self.options.url)
        connection = self._connection(where.hostname or "", where.port, is_plain=where.scheme == "http")
        try:
            connection.request("POST", where.path + (f"?{where.query}" if where.query else "") or "/", body, headers)
            status = connection.getresponse().status
        except (OSError, HTTPException) as error:
            raise LostConnection(f"{self.options.url}: {error or type(error).__name__}") from error
        finally:
            connection.close()
        if not 200 <= status < 300:
            raise LostConnection(f"{self.options.url} answered {status} to part {letter.record.part}")

    def _connection(self, host: str, port: int | None, *, is_plain: bool) -> HTTPConnection:
        if is_plain:
            return HTTPConnection(host, port, timeout=self.options.seconds)
        context = ssl.create_default_context(cafile=self.options.ca)
        return HTTPSConnection(host, port, timeout=self.options.seconds, context=context)


def sign_body(secret: bytes, stamp: str, body: bytes) -> str:
    """64 hex digits."""
    return hmac.new(secret, stamp.encode() + b"." + body, sha256).hexdigest()
