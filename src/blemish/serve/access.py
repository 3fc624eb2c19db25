"""Who asks, and whether they may: sessions of people, tokens of machines, and nobody else off this machine.

On a machine that nobody else can reach, and where no user was made, whoever asks is `local` and may do everything.
"""

from __future__ import annotations

import asyncio
import hmac
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import NamedTuple
from urllib.parse import urlsplit

from fastapi import HTTPException, Request
from sqlalchemy import Connection, func, select

from blemish.errors import BadInput
from blemish.serve.front import Front
from blemish.serve.schema import users
from blemish.serve.settings import LineSettings
from blemish.serve.users import ROLES, Token, find_token, role_of

COOKIE, CSRF_HEADER = "blemish", "x-csrf-token"
IDLE_SECONDS = 8 * 3600
BELIEVED_SECONDS = 1.0
"""How long what the store said of tokens, and of whether there are users, is not asked again."""
MOST_SESSIONS, MOST_REMEMBERED = 1000, 10_000
FREE_FAILURES, FREE_OF_ADDRESS, LONGEST_PAUSE = 4, 20, 300.0
"""Wrong passwords before one has to wait: of a name, and of an address, which many may share; seconds."""
SAFE = ("GET", "HEAD", "OPTIONS")


class Person(NamedTuple):
    """Whoever asks."""

    name: str
    role: str  # "" of a machine
    station: str = ""  # of a machine: its own
    csrf: str = ""  # what a page must send back

    def may(self, role: str) -> bool:
        """Whether its role is that one, or above it."""
        return self.role in ROLES and ROLES.index(self.role) >= ROLES.index(role)


class Throttle:
    """After a few failures each further one waits twice as long."""

    def __init__(self, free: int, now: Callable[[], float] = time.monotonic) -> None:
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()  # how many, and until when to wait
        self._free, self._now = free, now

    def check(self, key: str) -> None:
        """Raises 429 where it is to wait."""
        wait = self._failures.get(key, (0, 0.0))[1] - self._now()
        if wait > 0:
            said = f"too many wrong passwords: try again in {wait:.0f} s"
            raise HTTPException(429, said, {"Retry-After": str(int(wait) + 1)})

    def fail(self, key: str) -> None:
        """A wrong password."""
        count = self._failures.pop(key, (0, 0.0))[0] + 1
        pause = min(LONGEST_PAUSE, 2.0 ** min(count - self._free, 30)) if count >= self._free else 0.0
        self._failures[key] = (count, self._now() + pause)
        while len(self._failures) > MOST_REMEMBERED:
            self._failures.popitem(last=False)

    def forget(self, key: str) -> None:
        """The right password."""
        self._failures.pop(key, None)


class Access:
    """Of one front; sessions end with its process."""

    def __init__(self, front: Front) -> None:
        self.front = front
        self._names, self._addresses = Throttle(FREE_FAILURES), Throttle(FREE_OF_ADDRESS)
        self._sessions: OrderedDict[str, tuple[Person, float]] = OrderedDict()
        self._has_users, self._looked = False, -math.inf  # when
        self._tokens: dict[str, tuple[Token, float]] = {}  # that were found, and when
        self._scrypts = asyncio.Semaphore(2)  # 16 MiB each

    async def login(self, name: str, password: str, address: str) -> tuple[str, Person]:
        """A session's secret; raises 401, or 429 for one who tries too often."""
        self._names.check(name)
        self._addresses.check(address)
        async with self._scrypts:
            role = await self.front.look_up(lambda connection: role_of(connection, name, password))
        if not role:
            self._names.fail(name)
            self._addresses.fail(address)
            raise HTTPException(401, "the name or the password is wrong")
        self._names.forget(name)
        secret, person = secrets.token_urlsafe(32), Person(name, role, csrf=secrets.token_urlsafe(16))
        self._sessions[secret] = (person, time.monotonic())
        while len(self._sessions) > MOST_SESSIONS:
            self._sessions.popitem(last=False)
        return secret, person

    def logout(self, request: Request) -> None:
        """End the session."""
        self._sessions.pop(request.cookies.get(COOKIE, ""), None)

    def forget_name(self, name: str) -> None:
        """End all sessions of someone, and what is believed of a machine's token."""
        self._sessions = OrderedDict((key, each) for key, each in self._sessions.items() if each[0].name != name)
        self._tokens = {key: each for key, each in self._tokens.items() if each[0].name != name}
        self._has_users, self._looked = False, -math.inf

    async def person(self, request: Request) -> Person:
        """Whoever asks; raises 401, and 403 for what another site's page sends."""
        refuse_stranger(request, self.front.settings)
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return await self._machine(token.strip())
        if found := self._session(request.cookies.get(COOKIE, "")):
            if request.method not in SAFE and not hmac.compare_digest(request.headers.get(CSRF_HEADER, ""), found.csrf):
                raise HTTPException(403, f"the header {CSRF_HEADER} is not that of this session: load the page again")
            return found
        if self.front.settings.server.is_private and not await self._users():
            return Person("local", "admin")
        raise HTTPException(401, "log in first, or send a station's token", {"WWW-Authenticate": "Bearer"})

    async def _machine(self, token: str) -> Person:
        found, since = self._tokens.get(token, (None, 0.0))
        if not found or time.monotonic() - since > BELIEVED_SECONDS:
            self._tokens.pop(token, None)
            found = await self.front.look_up(lambda connection: find_token(connection, token))
            since = time.monotonic()
        if found:
            self._tokens[token] = (found, since)
        else:
            raise HTTPException(401, "there is no such token", {"WWW-Authenticate": "Bearer"})
        return Person(found.name, "", found.station)

    def _session(self, secret: str) -> Person | None:
        person, seen = self._sessions.get(secret, (None, 0.0))
        if person is None or time.monotonic() - seen > IDLE_SECONDS:
            self._sessions.pop(secret, None)
            return None
        self._sessions[secret] = (person, time.monotonic())
        self._sessions.move_to_end(secret)
        return person

    async def _users(self) -> bool:
        if not self._has_users and time.monotonic() - self._looked > BELIEVED_SECONDS:
            self._has_users = await self.front.look_up(has_users)
            self._looked = time.monotonic()
        return self._has_users


def require(access: Access, role: str, *, station: str = "") -> Callable[[Request], Awaitable[None]]:
    """What FastAPI is to ask before a route: someone of that role, or, where it names one, the machine of a station.

    The route then has the person as `request.state.person`.
    """

    async def asked(request: Request) -> None:
        person = await access.person(request)
        own = request.path_params.get(station) if station else None
        if person.may(role) or (person.station and (person.station == own or role == "viewer")):
            request.state.person = person
            return
        raise HTTPException(403, f"{person.name} may not do this: it takes {role}")

    return asked


def refuse_stranger(request: Request, settings: LineSettings) -> None:
    """Raises 403 for what a page of another site sends, and for another name of this machine."""
    host = request.headers.get("host", "")
    if settings.server.is_private and not _is_local(host):
        raise HTTPException(403, f"this line is not called {host[:100]}: use localhost or 127.0.0.1")
    origin = request.headers.get("origin")
    if request.method not in SAFE and origin is not None and urlsplit(origin).netloc != host:
        raise HTTPException(403, "what a page of another site sends is not taken")


def _is_local(host: str) -> bool:
    return (urlsplit(f"//{host}").hostname or "") in ("localhost", "127.0.0.1", "::1")


def has_users(connection: Connection) -> bool:
    """Whether anyone was made a user."""
    return bool(connection.execute(select(func.count()).select_from(users)).scalar())


def refuse_open(settings: LineSettings, *, users_there: bool) -> None:
    """Raises BadInput for a line that others could reach and read, or use without a name."""
    server = settings.server
    if server.is_private:
        return
    way_out = "or listen on 127.0.0.1"
    if not server.is_encrypted:
        raise BadInput(
            f"{server.host} can be reached by others: give certificate and key, or set behind_proxy, {way_out}"
        )
    if not users_there:
        raise BadInput(f"{server.host} can be reached by others: make a user first, by `blemish user add`, {way_out}")
