"""The whole line as processes, killed and started again."""

from __future__ import annotations

import asyncio
import gc
import http.client
import os
import signal
import subprocess
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.support.obedient import make_obedient
from tests.support.peers import until
from tests.support.serving import LINE, Client, line_settings, process

from blemish.serve.front import Front
from blemish.serve.queries import Wanted, each_part, find_part
from blemish.serve.store import Store, engine_of, look_at_store

FOLDER = "[stations.folder]\npath = 'in'\ndone = 'done'\nsettle_ms = 60\n"


def listening(started: Any) -> Client:
    client = Client(int(started.stdout.readline()))
    until = time.monotonic() + 60
    while "Continuous" not in client.ask("GET", "/health").body["stations"][0]["state"]:
        assert time.monotonic() < until
        time.sleep(0.02)
    return client


def test_a_line_that_is_killed_has_every_part_that_it_reported_once(tmp_path: Path) -> None:
    settings = line_settings(tmp_path, LINE + "queue = 100\n")
    reported: list[str] = []

    def send(client: Client, worker: int) -> None:
        with suppress(OSError, http.client.HTTPException):
            for number in range(10_000):
                found = client.send(f"{worker}-{number}", "accept")
                assert found.status == 200
                reported.append(found.body["part"])

    with process("serve", tmp_path / "line.toml") as serving, ThreadPoolExecutor(4) as pool:
        client = listening(serving)
        done = [pool.submit(send, client, worker) for worker in range(4)]
        while len(reported) < 60:
            time.sleep(0.01)
        children = Path(f"/proc/{serving.pid}/task/{serving.pid}/children").read_text().split()
        serving.kill()
        for each in done:
            each.result()
    assert children
    until(lambda: all(_is_dead(int(each)) for each in children))  # a station ends with its front
    with process("serve", tmp_path / "line.toml") as serving:
        client = listening(serving)
        last = reported[-1]
        assert client.send(last, "accept").body["repeated"]
        serving.send_signal(signal.SIGTERM)
        assert serving.stdout
        assert serving.stdout.readline() == "ended, torch was not imported\n"
        assert serving.wait(30) == 0
    with look_at_store(settings.store) as connection:
        found = [each["part"] for each in each_part(connection, Wanted())]
    assert len(found) == len(set(found))
    assert set(reported) <= set(found)


def test_a_durable_line_answers_when_the_record_is_in_the_database(tmp_path: Path) -> None:
    settings = line_settings(tmp_path, LINE.replace("[store]", "[store]\ndurable = true"))
    engine = engine_of(settings.store)
    with process("serve", tmp_path / "line.toml") as serving:
        client = listening(serving)
        for number in range(20):
            found = client.send(str(number), "accept").body
            with engine.connect() as connection:
                known = find_part(connection, "gears", str(number))
            assert known
            assert (known.verdict, known.late) == (found["verdict"], found["late"])
    engine.dispose()


def test_pictures_that_come_to_a_folder_are_inspected_once_and_put_away(tmp_path: Path) -> None:
    settings = line_settings(tmp_path, LINE + FOLDER)
    incoming, done = tmp_path / "in", tmp_path / "done"
    incoming.mkdir()
    leave(incoming / "a.png", b"accept")
    leave(incoming / "b.png", b"crash")
    leave(incoming / ".hidden.png", b"reject")
    leave(incoming / "notes.txt", b"reject")
    with process("serve", tmp_path / "line.toml") as serving:
        client = listening(serving)
        torn = (incoming / "c.png").open("wb")
        for piece in (b"rej", b"e", b"ct"):  # longer than a file has to settle
            torn.write(piece)
            torn.flush()
            time.sleep(0.04)
        torn.close()
        parts = {name: wait_for(client, name) for name in ("a", "b", "c")}
        while list(incoming.glob("[a-c].png")):
            time.sleep(0.02)
    assert {name: (each["verdict"], each["outcome"]) for name, each in parts.items()} == {
        "a": ("accept", "inspected"), "b": ("review", "not inspected"), "c": ("reject", "inspected"),
    }  # fmt: skip
    assert sorted(path.name for path in done.iterdir()) == ["a.png", "b.png", "c.png"]
    assert sorted(path.name for path in incoming.iterdir()) == [".hidden.png", "notes.txt"]
    with look_at_store(settings.store) as connection:
        assert sorted(each["part"] for each in each_part(connection, Wanted())) == ["a", "b", "c"]


def leave(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def wait_for(client: Client, part: str) -> Any:
    until = time.monotonic() + 60
    while (reply := client.ask("GET", f"/stations/gears/parts/{part}")).status != 200:
        assert time.monotonic() < until, part
        time.sleep(0.02)
    return reply.body


def _is_dead(number: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] in ("Z", "X")
    return True


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_station_that_is_killed_at_any_moment_loses_no_part(tmp_path: Path, seed: int) -> None:
    settings = line_settings(tmp_path, LINE + "queue = 100\n")
    answers: dict[str, str] = {}
    with process("serve", tmp_path / "line.toml") as serving, ThreadPoolExecutor(4) as pool:
        client = listening(serving)
        children = Path(f"/proc/{serving.pid}/task/{serving.pid}/children").read_text().split()
        [station] = [each for each in children if b"spawn_main" in Path(f"/proc/{each}/cmdline").read_bytes()]

        def send(number: int) -> None:
            while (reply := client.send(f"p{number}", "sleep 0.02 accept")).status in (409, 503):
                time.sleep(0.05)
            answers[f"p{number}"] = reply.body["verdict"]

        done = [pool.submit(send, number) for number in range(150)]
        until(lambda: len(answers) > 3)  # all four send by now
        time.sleep(0.07 * seed)
        os.kill(int(station), signal.SIGKILL)
        for each in done:
            each.result()
    with look_at_store(settings.store) as connection:
        found = {each["part"]: each["verdict"] for each in each_part(connection, Wanted())}
    assert found == answers
    assert "review" in found.values()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 6 MiB in memory, which takes root to make."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", place], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no disk can be made here: {made.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def test_a_line_whose_disk_is_full_goes_on_judging_and_records_all_when_there_is_room(
    tmp_path: Path, small_disk: Path
) -> None:
    text = LINE.replace("keep_free = 0", f"folder = '{small_disk}/data'\nkeep_free = 1")
    settings = line_settings(tmp_path, text)
    with process("serve", tmp_path / "line.toml") as serving:
        client = listening(serving)
        assert client.send("first", "accept").status == 200
        client.wait_for("/stations/gears/parts", bool)
        with (small_disk / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
            while ballast.write(bytes(4096)):
                pass
        for number in range(300):  # more than the pages that the database has left
            found = client.send(f"full-{number}", f"reject {'x' * 2000}")
            assert (found.status, found.body["verdict"]) == (200, "reject")
        alarms = client.wait_for("/health", lambda body: "store" in body["alarms"])["alarms"]
        assert "make room" in alarms["store"]
        assert "pictures are not kept" in alarms["pictures"]
        (small_disk / "ballast").unlink()
        client.wait_for("/health", lambda body: "store" not in body["alarms"])
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(30) == 0
    with look_at_store(settings.store) as connection:
        recorded = [each["part"] for each in each_part(connection, Wanted())]
    assert sorted(recorded) == sorted(["first", *(f"full-{number}" for number in range(300))])


def test_work_that_a_line_has_no_time_to_begin_ends_without_a_warning(tmp_path: Path) -> None:
    settings = line_settings(tmp_path)

    async def open_and_end() -> None:
        front = Front(settings, store, make_obedient)
        front.run(asyncio.sleep(0))
        front.end()

    with warnings.catch_warnings(record=True) as said, Store(settings.store) as store:
        warnings.simplefilter("always")
        asyncio.run(open_and_end())
        gc.collect()
    assert not said
