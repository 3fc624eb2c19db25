"""The tables of the store, numbered, and how an older store becomes one of today."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    inspect,
    select,
    text,
)

from blemish.errors import BadData

TABLES = MetaData()
_NUMBER = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts by INTEGER alone

schema = Table("schema", TABLES, Column("version", Integer, nullable=False))

parts = Table(
    "parts",
    TABLES,
    Column("n", _NUMBER, primary_key=True, autoincrement=True),  # in the order in which they were recorded
    Column("station", String(64), nullable=False),
    Column("part", String(128), nullable=False),
    Column("product", Text, nullable=False),
    Column("batch", String(128), nullable=False),
    Column("arrived", Float, nullable=False),
    Column("answered", Float, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("verdict", String(8), nullable=False),
    Column("judged", String(8), nullable=False),
    Column("late", Boolean, nullable=False),
    Column("score", Float),
    Column("recipe", String(64), nullable=False),
    Column("software", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("regions", JSON, nullable=False),
    Column("types", JSON, nullable=False),
    Column("views", JSON, nullable=False),
    Column("seconds", JSON, nullable=False),
    Column("waits", Boolean, nullable=False),  # for a person's judgement
    UniqueConstraint("station", "part"),
    Index("parts_of_station", "station", "n"),
    Index("parts_of_verdict", "station", "verdict", "n"),
    Index("parts_of_product", "station", "product", "n"),
    Index("parts_of_batch", "station", "batch", "n"),
    Index("parts_of_recipe", "station", "recipe", "n"),
    sqlite_autoincrement=True,
)


def _waiting(name: str, *columns: Column[Any]) -> Index:
    """Of parts that wait alone."""
    return Index(name, *columns, sqlite_where=text("waits = 1"), postgresql_where=text("waits"))


WAITING_INDEXES = (_waiting("parts_that_wait", parts.c.n), _waiting("parts_that_wait_at", parts.c.station, parts.c.n))

pictures = Table(
    "pictures",
    TABLES,
    Column("n", _NUMBER, primary_key=True, autoincrement=True),
    Column("station", String(64), nullable=False),
    Column("part", String(128), nullable=False),
    Column("view", String(64), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("file", String(64), nullable=False, unique=True),
    Column("size", BigInteger, nullable=False),
    Column("verdict", String(8), nullable=False),  # of the part
    Column("taken", Float, nullable=False),
    Index("pictures_of_part", "station", "part"),
    Index("pictures_of_verdict", "verdict", "n", "size"),
    sqlite_autoincrement=True,
)

judgements = Table(
    "judgements",
    TABLES,
    Column("n", _NUMBER, primary_key=True, autoincrement=True),
    Column("station", String(64), nullable=False),
    Column("part", String(128), nullable=False),
    Column("at", Float, nullable=False),
    Column("who", String(64), nullable=False),
    Column("verdict", String(8), nullable=False),  # accept or reject
    Column("type", Text, nullable=False),  # of the defect; "" where none is named
    Column("undone", Boolean, nullable=False),
    Index("judgements_of_part", "station", "part"),
    Index("judgements_of_station", "station", "n"),
    sqlite_autoincrement=True,
)

audit = Table(
    "audit",
    TABLES,
    Column("n", _NUMBER, primary_key=True, autoincrement=False),
    Column("at", Float, nullable=False),
    Column("who", String(64), nullable=False),
    Column("what", String(64), nullable=False),
    Column("subject", Text, nullable=False),
    Column("old", Text, nullable=False),
    Column("new", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)

users = Table(
    "users",
    TABLES,
    Column("name", String(64), primary_key=True),
    Column("role", String(8), nullable=False),
    Column("password", Text, nullable=False),  # scrypt, with its salt and its cost
)

tokens = Table(
    "tokens",
    TABLES,
    Column("hash", String(64), primary_key=True),  # sha256 of the token
    Column("station", String(64), nullable=False),
    Column("name", String(64), nullable=False, unique=True),
)

proposals = Table(
    "proposals",
    TABLES,
    Column("n", _NUMBER, primary_key=True, autoincrement=True),
    Column("station", String(64), nullable=False),
    Column("recipe", String(64), nullable=False),  # its name in line.toml
    Column("kind", String(16), nullable=False),
    Column("standing", String(16), nullable=False),
    Column("who", String(64), nullable=False),
    Column("at", Float, nullable=False),
    Column("settled_by", String(64), nullable=False),
    Column("settled", Float, nullable=False),
    Column("old", String(64), nullable=False),  # hash of the recipe that it is to replace
    Column("new", String(64), nullable=False),
    Column("said", JSON, nullable=False),  # what it is, and what it would change
    Index("proposals_of_station", "station", "n"),
    sqlite_autoincrement=True,
)

retention = Table(
    "retention",
    TABLES,
    Column("verdict", String(8), primary_key=True),
    Column("days", Float, nullable=False),
    Column("size", BigInteger, nullable=False),  # bytes
)

kept = Table(  # bytes of `pictures`, added up
    "kept",
    TABLES,
    Column("verdict", String(8), primary_key=True),
    Column("size", BigInteger, nullable=False),
)

outbox = Table(
    "outbox",
    TABLES,
    Column("n", _NUMBER, primary_key=True, autoincrement=True),
    Column("connector", String(64), nullable=False),
    Column("station", String(64), nullable=False),
    Column("part", String(128), nullable=False),
    Column("kind", String(8), nullable=False),
    Index("outbox_of_connector", "connector", "n"),
    sqlite_autoincrement=True,
)

APPEND_ONLY = (
    """CREATE TRIGGER audit_{0} BEFORE {0} ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END"""
)

Step = Callable[[Connection], None]


def _add_indexes(connection: Connection) -> None:
    """By which pages find what waits, and what was judged, among a million records."""
    connection.execute(text("DROP INDEX parts_waiting"))
    for index in (*WAITING_INDEXES, *(each for each in judgements.indexes if each.name == "judgements_of_station")):
        index.create(connection)


STEPS: tuple[Step, ...] = (proposals.create, outbox.create, retention.create, kept.create, _add_indexes)
"""What makes a store of version 1 one of version 2, and so on."""


def migrate(connection: Connection, steps: Sequence[Step] = STEPS) -> int:
    """Make the tables, or bring those that are there up to date; all within the caller's one transaction.

    Returns the version; raises BadData for a store that a newer blemish has made.
    """
    latest = 1 + len(steps)
    if not inspect(connection).has_table(schema.name):
        TABLES.create_all(connection)
        if connection.dialect.name == "sqlite":
            for change in ("UPDATE", "DELETE"):
                connection.execute(text(APPEND_ONLY.format(change)))
        connection.execute(schema.insert().values(version=latest))
        return latest
    version = connection.execute(select(schema.c.version)).scalar_one()
    if version > latest:
        known = f"the store is of version {version}, and this blemish knows {latest}"
        raise BadData(f"{known}: update blemish, or name another folder")
    for step in steps[version - 1 :]:
        step(connection)
    connection.execute(schema.update().values(version=latest))
    return latest
