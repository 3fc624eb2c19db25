from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError
from tests.support.serving import store_settings

from blemish.errors import BadData
from blemish.serve.audit import FIRST, Verified, note_act, verify_audit
from blemish.serve.store import Store


def acts(store: Store, count: int) -> list[str]:
    def note(connection: Connection) -> list[str]:
        subjects = map(str, range(count))
        return [note_act(connection, who="ada", what="swap", subject=each, old="a", new="b") for each in subjects]

    return store.change(note).result(5)


def verified(store: Store, head: str = "") -> Verified:
    with store.read() as connection:
        return verify_audit(connection, head)


def test_the_chain_holds_and_has_every_head_there_was(tmp_path: Path) -> None:
    with Store(store_settings(tmp_path)) as store:
        assert verified(store) == Verified(0, FIRST)
        heads = acts(store, 3) + acts(store, 2)
        assert verified(store) == Verified(5, heads[-1])
        assert all(verified(store, head).rows == 5 for head in heads)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE audit SET who = 'eve' WHERE n = 2", "from row 2 on"),
        ("DELETE FROM audit WHERE n = 3", "from row 3 on"),
        ("UPDATE audit SET at = at + 1 WHERE n = 4", "from row 4 on"),
        ("DELETE FROM audit WHERE n = 4", "its end was cut off"),
    ],
)
def test_what_was_changed_past_the_guard_is_found(tmp_path: Path, change: str, said: str) -> None:
    with Store(store_settings(tmp_path)) as store:
        heads = acts(store, 4)
        for trigger in ("UPDATE", "DELETE"):
            store.change(lambda c, name=trigger: c.execute(text(f"DROP TRIGGER audit_{name}")).rowcount).result(5)  # type: ignore[misc]
        store.change(lambda c: c.execute(text(change)).rowcount).result(5)
        with pytest.raises(BadData, match=said):
            verified(store, heads[-1])


@pytest.mark.parametrize("change", ["UPDATE audit SET who = 'eve'", "DELETE FROM audit"])
def test_the_database_itself_refuses_changes(tmp_path: Path, change: str) -> None:
    with Store(store_settings(tmp_path)) as store:
        acts(store, 1)
        with pytest.raises(SQLAlchemyError, match="append-only"):
            store.change(lambda c: c.execute(text(change)).rowcount).result(5)
        assert verified(store).rows == 1
