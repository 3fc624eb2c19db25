from __future__ import annotations

import os
import re
import sys
import threading
import time
from pathlib import Path

import pytest

from blemish.serve.folder import Watch, put_away
from blemish.serve.notify import FolderAlarm
from blemish.serve.settings import FolderSettings

PATTERN = re.compile(r"(?P<part>.+)_(?P<view>[^_]+)")


def watch(folder: Path, *, settle_ms: float = 20) -> Watch:
    return Watch(FolderSettings(folder, settle_ms, PATTERN, None), ("top", "side"))


def look(watched: Watch, part: str = "") -> list[tuple[str, str]]:
    return [(each.part, each.view) for each in watched.look(lambda found: part in ("", found))]


def settled(watched: Watch) -> list[tuple[str, str]]:
    assert look(watched) == []
    time.sleep(0.03)
    return look(watched)


def test_only_what_names_a_part_and_a_view_is_taken_the_oldest_first(tmp_path: Path) -> None:
    names = ["b_1_top.png", "a_side.TIF", "a_below.png", "plain.png", ".a_top.png", "a_top.txt", "a\nb_top.png"]
    for at, name in enumerate(names):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (at, at))
    (tmp_path / "empty_top.png").touch()
    (tmp_path / os.fsdecode(b"caf\xe9_top.png")).write_bytes(b"x")
    (tmp_path / f"{'x' * 129}_top.png").write_bytes(b"x")
    assert settled(watch(tmp_path)) == [("b_1", "top"), ("a", "side")]


def test_a_file_that_grows_is_waited_for_and_none_is_taken_twice(tmp_path: Path) -> None:
    watched, file = watch(tmp_path), tmp_path / "a_top.png"
    for size in range(1, 4):
        file.write_bytes(size * b"x")
        assert look(watched) == []
        time.sleep(0.03)
    file.write_bytes(9 * b"x")
    assert settled(watched) == [("a", "top")]
    assert look(watched) == []
    put_away(watched.settings, ["a_top.png"])
    assert not file.exists()
    file.write_bytes(b"another")
    assert settled(watched) == [("a", "top")]


def test_what_is_not_wanted_stays(tmp_path: Path) -> None:
    watched = watch(tmp_path, settle_ms=0)
    for name in ("a_top.png", "b_top.png", "a_side.png"):
        (tmp_path / name).write_bytes(b"x")
    assert sorted(look(watched, "a")) == [("a", "side"), ("a", "top")]
    assert look(watched) == [("b", "top")]


def test_files_are_moved_where_they_are_to_be_kept(tmp_path: Path) -> None:
    (tmp_path / "a_top.png").write_bytes(b"x")
    put_away(FolderSettings(tmp_path, 0, PATTERN, tmp_path / "done"), ["a_top.png", "gone.png"])
    assert (tmp_path / "done" / "a_top.png").read_bytes() == b"x"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the folder is looked at again and again")
def test_a_file_that_comes_is_noticed_at_once_and_nothing_else_is(tmp_path: Path) -> None:
    alarm, start = FolderAlarm(tmp_path), time.monotonic()
    alarm.wait(0.05)
    assert time.monotonic() - start >= 0.05
    (tmp_path / ".a.png").touch()
    alarm.wait(60)
    timer = threading.Timer(0.05, (tmp_path / ".a.png").replace, (tmp_path / "a.png",))
    timer.start()
    alarm.wait(60)
    timer.join()
    assert (tmp_path / "a.png").exists()
    tmp_path.rename(tmp_path.with_name("other"))
    tmp_path.mkdir()
    alarm.wait(0.01)
    (tmp_path / "b.png").touch()
    alarm.wait(60)
    assert time.monotonic() - start < 60
