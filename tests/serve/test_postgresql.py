"""The store in PostgreSQL: Debian's, started and ended by its own fixture."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.exc import DataError
from tests.support.serving import record, store_settings

from blemish.errors import BadInput, CannotWrite, MissingExtra
from blemish.serve.audit import verify_audit
from blemish.serve.queries import Wanted, count_verdicts, each_part, find_part
from blemish.serve.review import count_for_review, judge_part, oldest_for_review, take_back
from blemish.serve.ring import find_excess, forget_pictures, kept_bytes, put_pictures
from blemish.serve.store import Store
from blemish.serve.users import put_user, role_of


@pytest.fixture
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        said = "PostgreSQL is not here: apt-get install postgresql"
        pytest.fail(said) if os.environ.get("CI") else pytest.skip(said)
    folder = tmp_path_factory.mktemp("postgresql")
    owner = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    for place in (folder, *folder.parents[:3]) if owner else ():
        place.chmod(0o755)
    if owner:
        shutil.chown(folder, "postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = str(folder / "data")

    def run(*words: str) -> None:
        subprocess.run([*owner, *words], check=True, stdout=subprocess.DEVNULL, cwd=folder)

    run(str(programs[-1] / "initdb"), "-D", data, "-A", "trust", "-U", "line")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1"
    run(str(programs[-1] / "pg_ctl"), "-D", data, "-o", options, "-l", str(folder / "log"), "-w", "start")
    try:
        yield f"postgresql+psycopg://line@127.0.0.1:{port}/postgres"
    finally:
        run(str(programs[-1] / "pg_ctl"), "-D", data, "-m", "immediate", "stop")


@pytest.mark.slow
def test_postgresql_keeps_what_sqlite_does(url: str, tmp_path: Path) -> None:
    settings = store_settings(tmp_path, url=url, size=0)
    with Store(settings) as store:
        for number in range(450):
            store.add(record(str(number), verdict="review", score=0.5, types=("crack",)))
        store.add(record("1", verdict="review", judged="accept", late=True, types=("crack",))).result(30)
        with pytest.raises(DataError):
            store.add(record("a\x00b")).result(30)
        store.change(lambda c: judge_part(c, "gears", "0", who="ada", verdict="reject", kind="crack")).result(30)
        with store.read() as connection:
            known = find_part(connection, "gears", "1")
            waits = oldest_for_review(connection)
            assert known
            assert (known.judged, known.late, known.types) == ("accept", True, ["crack"])
            assert waits
            assert waits["part"] == "1"
            assert count_for_review(connection) == 449
            assert count_verdicts(connection, "gears", 1000)["review"] == 450
        store.change(lambda c: put_pictures(c, "gears", "0", "review", [("front", "picture", "a.png", 10)])).result(30)
        with store.read() as connection:
            assert kept_bytes(connection) == {"review": 10}
        assert store.change(lambda c: forget_pictures(c, find_excess(c, settings.retention, time.time()))).result(
            30
        ) == ["a.png"]
        store.change(lambda c: take_back(c, "ada")).result(30)
        store.change(lambda c: put_user(c, "ada", "admin", "four words are good")).result(30)
    with Store(settings) as store, store.read() as connection:
        assert len(list(each_part(connection, Wanted("gears")))) == 450
        assert verify_audit(connection).rows == 2
        assert role_of(connection, "ada", "four words are good") == "admin"


@pytest.mark.parametrize(
    ("url", "error", "said"),
    [
        ("no database", BadInput, "store.url is no database"),
        ("postgresql+pg9000://x", BadInput, "store.url is no database"),
        ("mysql+pymysql://a@b/c", MissingExtra, "needs its driver"),
        ("postgresql+psycopg://u:secret@127.0.0.1:1/x", CannotWrite, r"u:\*\*\*@127.0.0.1:1/x cannot be used"),
    ],
)
def test_a_database_that_cannot_be_used_is_said(tmp_path: Path, url: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        Store(store_settings(tmp_path, url=url)).__enter__()
