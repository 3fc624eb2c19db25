from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import Connection, event, func, select, text
from tests.support.serving import process, record, store_settings

from blemish.errors import BadData, CannotWrite
from blemish.serve import schema
from blemish.serve.queries import Wanted, list_parts
from blemish.serve.review import count_for_review, oldest_for_review
from blemish.serve.store import Store, engine_of
from blemish.serve.trends import mistakes_of, recent_rows

FIRST_VERSION = Path(__file__).parent / "store_1.sql"


def rows(store: Store) -> list[sqlalchemy.RowMapping]:
    with store.read() as connection:
        return list(connection.execute(select(schema.parts).order_by(schema.parts.c.n)).mappings())


def test_a_record_is_kept_as_it_was_given(tmp_path: Path) -> None:
    kept = record(
        "7", score=1.5, regions=({"x": 1},), types=("crack",), views={"top": {"score": 1.5}}, verdict="review",
        seconds={"detect": 0.1},
    )  # fmt: skip
    with Store(store_settings(tmp_path)) as store:
        store.add(kept).result(5)
        found = dict(rows(store)[0])
    assert (found.pop("n"), found.pop("waits")) == (1, True)
    assert found == kept.as_json()


def test_what_is_known_later_is_the_same_row_and_does_not_wait_anew(tmp_path: Path) -> None:
    with Store(store_settings(tmp_path)) as store:
        store.add(record("7", verdict="review", late=True))
        store.change(lambda connection: connection.execute(schema.parts.update().values(waits=False)).rowcount)
        store.add(record("7", verdict="review", late=True, judged="accept", score=0.25)).result(5)
        [found] = rows(store)
    assert (found["judged"], found["score"], found["late"], found["waits"]) == ("accept", 0.25, True, False)


def test_records_are_committed_in_groups_and_in_order(tmp_path: Path) -> None:
    commits: list[float] = []
    with Store(store_settings(tmp_path)) as store:
        event.listen(store.engine, "commit", lambda _: commits.append(time.monotonic()))
        all_there = threading.Event()
        store.change(lambda _: all_there.wait(60))
        added = [store.add(record(str(number))) for number in range(450)]
        all_there.set()
        wait(added, 60)
        assert 3 <= len(commits) <= 4
        assert [row["part"] for row in rows(store)] == list(map(str, range(450)))


@pytest.mark.parametrize("pause", [0.08, *(pytest.param(each, marks=pytest.mark.slow) for each in (0.0, 0.01, 0.3))])
def test_a_killed_process_loses_and_doubles_nothing_that_it_reported(tmp_path: Path, pause: float) -> None:
    with process("record", tmp_path) as recording:
        assert recording.stdout
        told = [recording.stdout.readline()]
        time.sleep(pause)
        recording.kill()
        told += recording.stdout.readlines()
    reported = [line.strip() for line in told if line.endswith("\n")]
    assert reported
    with Store(store_settings(tmp_path)) as store:
        found = [row["part"] for row in rows(store)]
    assert len(found) == len(set(found))
    assert set(reported) <= set(found)
    assert len(found) <= len(reported) + 1  # one may have been recorded and not yet printed


def test_a_journal_that_was_cut_off_gives_what_is_whole(tmp_path: Path) -> None:
    with Store(store_settings(tmp_path)) as store:
        store.add(record("1")).result(5)
        journal = store._journal.path
    lines = "".join(f"{_line(part)}\n" for part in ("1", "2"))
    journal.write_text(lines + _line("3")[:-9])
    with Store(store_settings(tmp_path)) as store:
        assert [row["part"] for row in rows(store)] == ["1", "2"]
    assert journal.read_bytes() == b""


def _line(part: str) -> str:
    import json

    return json.dumps(record(part).as_json())


def test_on_a_full_disk_records_wait_and_are_written_when_there_is_room(tmp_path: Path) -> None:
    """By SQLite's own limit of pages, at which it says what it says of a full disk."""
    with Store(store_settings(tmp_path)) as store:
        store.add(record("0")).result(5)
        limit = ["PRAGMA max_page_count=1"]
        event.listen(store.engine, "begin", lambda connection: connection.exec_driver_sql(limit[0]))
        waiting = [store.add(record(str(number), error="x" * 3000)) for number in range(1, 9)]
        while not store.alarm:
            time.sleep(0.01)
        assert "records cannot be written (database or disk is full): make room" in store.alarm
        assert not any(each.done() for each in waiting)
        refused = store.change(lambda connection: connection.execute(text("UPDATE parts SET waits = 1")).rowcount)
        waiting.append(store.add(record("9", error="x" * 3000)))
        with pytest.raises(CannotWrite, match="disk is full"):
            refused.result(5)
        limit[0] = "PRAGMA max_page_count=100000"
        assert not wait(waiting, 10).not_done
        assert store.alarm == ""
        assert [row["part"] for row in rows(store)] == list(map(str, range(10)))


def test_a_change_that_is_refused_undoes_itself_alone(tmp_path: Path) -> None:
    def refuse(connection: Connection) -> None:
        connection.execute(schema.parts.update().values(waits=True))
        raise BadData("no")

    with Store(store_settings(tmp_path)) as store:
        before = store.add(record("1"))
        refused = store.change(refuse)
        after = store.add(record("2"))
        wait([before, refused, after], 5)
        with pytest.raises(BadData, match="no"):
            refused.result()
        assert [(row["part"], row["waits"]) for row in rows(store)] == [("1", False), ("2", False)]


def test_a_record_that_no_database_takes_is_refused_alone(tmp_path: Path) -> None:
    with Store(store_settings(tmp_path)) as store:
        waiting = [store.add(record("1")), store.add(record("\ud800")), store.add(record("2"))]
        with pytest.raises(UnicodeEncodeError):
            waiting[1].result(5)
        waiting[2].result(5)
        assert [row["part"] for row in rows(store)] == ["1", "2"]


def test_who_no_longer_waits_changes_nothing(tmp_path: Path) -> None:
    async def leave() -> None:
        waiting = asyncio.ensure_future(asyncio.wrap_future(store.change(lambda connection: time.sleep(0.1))))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.wait([waiting])

    with Store(store_settings(tmp_path)) as store:
        asyncio.run(leave())
        store.add(record("1")).result(5)
        assert len(rows(store)) == 1


def test_one_process_at_a_time_writes_a_store(tmp_path: Path) -> None:
    with Store(store_settings(tmp_path)), pytest.raises(CannotWrite, match="being written by another run"):
        Store(store_settings(tmp_path)).__enter__()


@pytest.mark.parametrize("steps", range(len(schema.STEPS)))
def test_a_store_of_every_earlier_version_is_read_by_this_one(tmp_path: Path, steps: int) -> None:
    """steps: those that a first store had made."""
    import sqlite3

    with sqlite3.connect(tmp_path / "parts.sqlite") as old:
        old.executescript(FIRST_VERSION.read_text(encoding="utf-8"))
    old.close()
    engine = engine_of(store_settings(tmp_path))
    with engine.begin() as connection:
        assert schema.migrate(connection, schema.STEPS[:steps]) == 1 + steps
    engine.dispose()
    with Store(store_settings(tmp_path)) as store:
        assert [(row["part"], row["verdict"], row["score"]) for row in rows(store)] == [("A 1", "review", 0.5)]
        migrated = _tables(store)
    with Store(store_settings(tmp_path / "new")) as fresh:
        assert _tables(fresh) == migrated, "tables that change need a step in schema.STEPS"


def _tables(store: Store) -> dict[str, str]:
    with store.read() as connection:
        found = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        return {row.name: " ".join(row.sql.split()) for row in found}


@pytest.mark.parametrize(
    ("ask", "index"),
    [
        (oldest_for_review, "parts_that_wait"),
        (lambda c: oldest_for_review(c, "gears"), "parts_that_wait_at"),
        (lambda c: count_for_review(c, "gears"), "parts_that_wait_at"),
        (lambda c: mistakes_of(c, Wanted("gears")), "judgements_of_station"),
        (lambda c: list_parts(c, Wanted("gears", "reject", "cog", "7", "hash"), 9), "parts_of_batch"),
        (lambda c: list_parts(c, Wanted("gears", "reject"), 9), "parts_of_verdict"),
        (lambda c: recent_rows(c, Wanted("gears")), "parts_of_station"),
    ],
)
def test_what_pages_ask_is_found_by_an_index(tmp_path: Path, ask: Callable[[Connection], Any], index: str) -> None:
    with Store(store_settings(tmp_path)) as store:
        asked: list[tuple[str, Any]] = []
        event.listen(
            store.engine, "before_cursor_execute", lambda _, __, said, given, *___: asked.append((said, given))
        )
        with store.read() as connection:
            ask(connection)
            said, given = next(each for each in asked if each[0].startswith("SELECT"))
            plan = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {said}", given)]
        assert any(f"INDEX {index} " in f"{step} " for step in plan), plan
        assert not any(step.startswith(("SCAN parts", "SCAN judgements")) and "INDEX" not in step for step in plan), (
            plan
        )


def test_a_store_is_brought_up_to_date_whole_or_not_at_all(tmp_path: Path) -> None:
    def add(connection: Connection) -> None:
        connection.exec_driver_sql("ALTER TABLE parts ADD COLUMN shift TEXT")

    def fail(connection: Connection) -> None:
        raise BadData("a step that fails")

    latest = 1 + len(schema.STEPS)
    with Store(store_settings(tmp_path)) as store:
        store.add(record("1")).result(5)
        before = _tables(store)
    with pytest.raises(BadData, match="a step that fails"):
        Store(store_settings(tmp_path), steps=(*schema.STEPS, add, fail)).__enter__()
    with Store(store_settings(tmp_path)) as store:
        assert _tables(store) == before
    with Store(store_settings(tmp_path), steps=(*schema.STEPS, add)) as store, store.read() as connection:
        assert connection.exec_driver_sql("SELECT shift FROM parts").all() == [(None,)]
        assert connection.execute(select(func.max(schema.schema.c.version))).scalar() == latest + 1
    with pytest.raises(BadData, match=f"of version {latest + 1}, and this blemish knows {latest}: update blemish"):
        Store(store_settings(tmp_path)).__enter__()
