from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import select
from tests.support.serving import record, store_settings

from blemish.serve import schema
from blemish.serve.judge import Judgement
from blemish.serve.keeper import Keeper
from blemish.serve.ring import find_excess, forget_pictures, kept_bytes, put_pictures, sweep
from blemish.serve.store import Store

VERDICTS = ("accept", "review", "reject")


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store(store_settings(tmp_path)) as opened:
        yield opened


def keep(store: Store, part: str, verdict: str, size: int) -> None:
    store.add(record(part, verdict=verdict))
    store.change(lambda c: put_pictures(c, "gears", part, verdict, [("front", "picture", f"{part}.png", size)])).result(
        5
    )


def gone(store: Store, *, size: int = 2**30, days: float = 30, after: float = 0) -> list[str]:
    settings = store_settings(Path(), size=size, days=days)
    return store.change(lambda c: forget_pictures(c, find_excess(c, settings.retention, time.time() + after))).result(5)


def test_the_oldest_pictures_of_a_verdict_go_when_they_are_too_many(store: Store) -> None:
    for number in range(5):
        keep(store, f"good{number}", "accept", 100)
        keep(store, f"bad{number}", "reject", 10)
    assert gone(store, size=250) == ["good0.png", "good1.png", "good2.png"]
    with store.read() as connection:
        assert kept_bytes(connection) == {"accept": 200, "reject": 50}
    assert gone(store, size=250) == []


def test_pictures_go_when_they_are_too_old(store: Store) -> None:
    keep(store, "old", "accept", 100)
    assert gone(store, days=2, after=86400) == []
    assert gone(store, days=2, after=3 * 86400) == ["old.png"]


def test_what_waits_for_review_is_never_removed(store: Store) -> None:
    keep(store, "asked", "review", 100)
    assert gone(store, size=0, days=0, after=10**8) == []
    store.change(lambda c: c.execute(schema.parts.update().values(waits=False)).rowcount).result(5)
    assert gone(store, size=0) == ["asked.png"]


def test_files_that_a_killed_process_left_are_swept(store: Store, tmp_path: Path) -> None:
    keep(store, "known", "accept", 1)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("known.png", "strange.png", ".half"):
        (folder / name).touch()
    assert store.change(lambda c: sweep(c, folder)).result(5) == 2
    assert [path.name for path in folder.iterdir()] == ["known.png"]


def judgement(verdict: str) -> Judgement:
    return Judgement(0.5, verdict, (), (), (1200, 600), {})


def kept(folder: Path, *, keep_free: int = 0) -> tuple[str, Mapping[str, Any]]:
    told: list[tuple[str, Mapping[str, Any]]] = []
    done = threading.Event()

    def tell(kind: str, values: Mapping[str, Any]) -> None:
        told.append((kind, values))
        done.set()

    keeper = Keeper(folder, keep_free, {"reject"}, tell)
    anomaly_map = np.zeros((600, 1200), np.float32)
    anomaly_map[:300] = 4
    keeper.add("0", "top", b"not wanted", judgement("accept"))
    picture = np.full((3, 600, 1200), 0.5, np.float32)
    shown = judgement("reject")._replace(anomaly_map=anomaly_map, picture=picture, colours=(0.0, 4.0))
    keeper.add("1", "top", b"\x89PNG...", shown)
    assert done.wait(10)
    [found] = told
    return found


def test_a_view_is_kept_as_it_came_with_its_map(tmp_path: Path) -> None:
    kind, values = kept(tmp_path / "ring")
    assert (kind, values["part"], values["view"]) == ("kept", "1", "top")
    files = {kind: (tmp_path / "ring" / name, size) for kind, name, size in values["files"]}
    assert files["picture"][0].read_bytes() == b"\x89PNG..."
    assert (files["picture"][0].suffix, files["picture"][1]) == (".png", 7)
    assert np.load(files["map"][0]).shape == (200, 400)
    with Image.open(files["heat"][0]) as heat, Image.open(files["shown"][0]) as shown:
        assert (heat.size, shown.size, shown.getpixel((9, 9))) == ((600, 300), (1024, 512), (128, 128, 128))
        assert heat.getpixel((9, 9)) == (246, 220, 80, 178)
        assert heat.getpixel((9, 290))[3] == 0  # type: ignore[index]
    assert {path: path.stat().st_size for path in (tmp_path / "ring").iterdir()} == dict(files.values())


def test_where_the_disk_is_full_no_picture_is_kept_and_it_is_said(tmp_path: Path) -> None:
    kind, values = kept(tmp_path / "ring", keep_free=2**60)
    assert kind == "unkept"
    assert "pictures are not kept, only" in values["reason"]
    (tmp_path / "file").touch()
    kind, values = kept(tmp_path / "file" / "ring")
    assert (kind, "cannot be written" in values["reason"]) == ("unkept", True)


def test_pictures_have_columns_for_all_that_is_kept(store: Store) -> None:
    keep(store, "p", "accept", 7)
    with store.read() as connection:
        [row] = connection.execute(select(schema.pictures)).mappings()
    assert (row["station"], row["part"], row["view"], row["kind"], row["size"]) == ("gears", "p", "front", "picture", 7)
