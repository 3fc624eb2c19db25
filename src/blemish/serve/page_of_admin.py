"""The page of whoever may do everything: people, machines, what is kept, connectors, the audit."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from typing import Any

from fastapi import Request
from sqlalchemy import Connection

from blemish.serve.access import Person
from blemish.serve.api_admin import list_audit
from blemish.serve.pages import Pages
from blemish.serve.ring import kept_bytes
from blemish.serve.users import ROLES, SHORTEST_PASSWORD, list_tokens, list_users

SHOWN_ACTS = 50


def add_admin_page(pages: Pages) -> None:
    """Its route."""
    front = pages.front

    async def values(request: Request, _: Person) -> Mapping[str, Any]:
        asked = request.query_params.get("before", "")
        before = int(asked) if asked.isdecimal() and len(asked) < 18 else None

        def look(connection: Connection) -> dict[str, Any]:
            return {
                "people": list_users(connection), "machines": list_tokens(connection),
                "acts": list_audit(connection, before, SHOWN_ACTS), "kept": kept_bytes(connection),
            }  # fmt: skip

        disk = await asyncio.to_thread(shutil.disk_usage, front.settings.store.folder)
        return {
            **await front.look_up(look), "roles": ROLES, "shortest": SHORTEST_PASSWORD, "free": disk.free,
            "retention": front.retention, "usual": front.settings.store.retention,
            "connectors": front.connectors.as_json(),
        }  # fmt: skip

    pages.add("/admin", "admin.html", "admin", values, role="admin")
