"""People with passwords and roles, and the tokens of machines; no secret is kept, only what it is known again by."""

from __future__ import annotations

import base64
import hmac
import secrets
from hashlib import scrypt, sha256
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, select

from blemish.errors import BadInput, UnknownName
from blemish.serve.keys import NAME, NAMES
from blemish.serve.schema import tokens, users

ROLES = ("viewer", "operator", "quality", "admin")
"""Each may do what those before it may."""
SHORTEST_PASSWORD = 10
COST, BLOCKS, LANES = 2**14, 8, 1  # 16 MiB


class Token(NamedTuple):
    """A machine's token, without its secret."""

    name: str
    station: str


def put_user(connection: Connection, name: str, role: str, password: str) -> None:
    """Add a person, or give one another role and password; raises BadInput."""
    if not NAME.fullmatch(name):
        raise BadInput(f"{name!r} will not do as a name, wanted is {NAMES}")
    if role not in ROLES:
        raise BadInput(f"{role!r} is no role: {', '.join(ROLES)}")
    if len(password) < SHORTEST_PASSWORD:
        raise BadInput(f"the password is too short: {SHORTEST_PASSWORD} characters at least")
    connection.execute(delete(users).where(users.c.name == name))
    connection.execute(users.insert().values(name=name, role=role, password=hash_password(password)))


def remove_user(connection: Connection, name: str) -> None:
    """Raises UnknownName."""
    if not connection.execute(delete(users).where(users.c.name == name)).rowcount:
        raise UnknownName(f"there is no user {name}")


def list_users(connection: Connection) -> dict[str, str]:
    """Name -> role."""
    return {row.name: row.role for row in connection.execute(select(users.c.name, users.c.role).order_by(users.c.name))}


def role_of(connection: Connection, name: str, password: str) -> str:
    """The person's role, "" for a wrong name or password; both take the same time."""
    found = connection.execute(select(users).where(users.c.name == name)).first()
    is_right = check_password(password, found.password if found else _NOBODY)
    return str(found.role) if found and is_right else ""


def make_token(connection: Connection, name: str, station: str) -> str:
    """A new token for a station, which is shown this once; raises BadInput for a name that is taken."""
    if connection.execute(select(tokens).where(tokens.c.name == name)).first():
        raise BadInput(f"there is a token {name} already: remove it, or choose another name")
    token = f"blemish_{secrets.token_urlsafe(32)}"
    connection.execute(tokens.insert().values(hash=_token_hash(token), station=station, name=name))
    return token


def remove_token(connection: Connection, name: str) -> None:
    """Raises UnknownName."""
    if not connection.execute(delete(tokens).where(tokens.c.name == name)).rowcount:
        raise UnknownName(f"there is no token {name}")


def list_tokens(connection: Connection) -> list[Token]:
    """Their names and stations."""
    return [Token(row.name, row.station) for row in connection.execute(select(tokens).order_by(tokens.c.name))]


def find_token(connection: Connection, token: str) -> Token | None:
    """That of a secret."""
    found = connection.execute(select(tokens).where(tokens.c.hash == _token_hash(token))).first()
    return Token(found.name, found.station) if found else None


def hash_password(password: str) -> str:
    """With its salt and cost, as `check_password` takes it."""
    salt = secrets.token_bytes(16)
    packed = (base64.b64encode(each).decode() for each in (salt, _scrypt(password, salt, COST, BLOCKS, LANES)))
    return "$".join(("scrypt", str(COST), str(BLOCKS), str(LANES), *packed))


def check_password(password: str, kept: str) -> bool:
    """Whether it is the one."""
    _, cost, blocks, lanes, salt, expected = kept.split("$")
    found = _scrypt(password, base64.b64decode(salt), int(cost), int(blocks), int(lanes))
    return hmac.compare_digest(found, base64.b64decode(expected))


def _scrypt(password: str, salt: bytes, cost: int, blocks: int, lanes: int) -> bytes:
    settings: dict[str, Any] = {"n": cost, "r": blocks, "p": lanes, "maxmem": 2**27, "dklen": 32}
    return scrypt(password.encode(), salt=salt, **settings)


def _token_hash(token: str) -> str:
    """A token is random enough that it needs no salt."""
    return sha256(token.encode()).hexdigest()


_NOBODY = (
    f"scrypt${COST}${BLOCKS}${LANES}${base64.b64encode(b'nobody').decode()}${base64.b64encode(bytes(32)).decode()}"
)
