"""What is asked of every request before anything else: its size, its time, and what browsers are told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SMALL_BODY = 64 * 1024
"""Bytes of whatever is no view."""
SAID_TO_BROWSERS = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


class Limits:
    """Refuses bodies that are too large (413) or too slow (408), by what the header says or as they come.

    `largest` says of a path how many bytes a body may have.
    """

    def __init__(self, app: ASGIApp, largest: Callable[[str], int], seconds: float) -> None:
        self.app, self.largest, self.seconds = app, largest, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit, length = self.largest(scope["path"]), Headers(scope=scope).get("content-length", "0")

        async def spoken(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, said in SAID_TO_BROWSERS.items():
                    headers.setdefault(name, said)
                if message["status"] in (408, 413):
                    headers["connection"] = "close"  # the rest of the body is not wanted
            await send(message)

        if not length.isdecimal() or int(length) > limit:
            await _too_large(limit)(scope, receive, spoken)
            return
        await self.app(scope, _within(receive, limit, self.seconds), spoken)


def _within(receive: Receive, limit: int, seconds: float) -> Receive:
    """Raises 413 and 408 as the body comes; they pass through whoever reads it."""
    until, left, is_whole = asyncio.get_running_loop().time() + seconds, limit, False

    async def received() -> Message:
        nonlocal left, is_whole
        if is_whole:
            return await receive()
        try:
            async with asyncio.timeout_at(until):
                message = await receive()
        except TimeoutError as error:
            raise HTTPException(408, f"the body did not come within {seconds:g} s") from error
        left -= len(message.get("body", b""))
        is_whole = not message.get("more_body", False)
        if left < 0:
            raise HTTPException(413, _said(limit))
        return message

    return received


def _said(limit: int) -> str:
    return f"the body is larger than {limit / 2**20:g} MiB: raise max_body_size for larger views"


def _too_large(limit: int) -> Any:
    return JSONResponse({"detail": _said(limit)}, 413)
