"""What a line adds to the time of its judge, what it does when too much comes, and how fast its store is.

    python benchmarks/serve.py [--seconds 20]
    python benchmarks/serve.py --soak 100000

The judge does nothing, or waits for a stated time, so that all that is measured is the server's own: the front is a
process of its own, its station another, clients are in this one, over loopback. Files are renamed into their folder,
and their time is from there to the answer; that of a camera's is from when they were grabbed. A soak ends with status 1
where memory grew by more than a twentieth after the first parts, or threads or open files at all; what it found is
added to `soak.jsonl`, of which `run.py --only soak` makes a section of RESULTS.md.
"""

from __future__ import annotations

import argparse
import datetime
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from harness import HERE, Options, table
from PIL import Image
from store import RECORDS, query_times

from blemish.serve.app import serve
from blemish.serve.judge import Content, Judgement
from blemish.serve.queries import Wanted, each_part
from blemish.serve.records import PartRecord
from blemish.serve.settings import read_line
from blemish.serve.store import Store, look_at_store

WORK = 0.020
"""Seconds that the judge of the tests of load takes."""
FOR_A_PERSON, EVERY, JUDGES_SECONDS = b"?", 20, 0.5
"""One part in so many waits for the reviewer, who judges one in so many seconds."""
SEEN = 100
"""Pictures of a camera."""
RUNNING = ["ContinuousExecution", "ContinuousExecution", "Ready"]
WARM, RECONNECT, SETTLE, SOAK_EVERY, MOST_GROWN, RETRY = 1000, 200, 5.0, 50, 0.05, 0.1
"""Parts after which memory is not to grow, parts until a client connects anew, seconds, one part for a person,
a share of memory, seconds until what was refused is sent again."""
SOAKS = HERE / "soak.jsonl"
SOAK_HEAD = ("parts", "answers", "a second", f"after {WARM}", "at the end", "memory", "measured")
LINE = """
[server]
port = 0
[[stations]]
name = "idle"
recipes = {{ idle = "idle.recipe" }}
[stations.folder]
path = "in"
done = "remove"
settle_ms = 0
[[stations]]
name = "seen"
recipes = {{ idle = "idle.recipe" }}
start = false
[[stations.cameras]]
kind = "opencv"
device = "seen/%04d.png"
interval_ms = 30
[[stations]]
name = "busy"
recipes = {{ busy = "busy.recipe" }}
budget_ms = {budget}
queue = 32
"""


class Clock:
    """A judge that waits."""

    def __init__(self, seconds: float) -> None:
        self.hash, self.good, self.seconds = "clock", (), seconds

    def judge(self, content: Content, name: str) -> Judgement:
        """Accepts, but what begins as a part for a person does."""
        time.sleep(self.seconds)
        verdict = "review" if bytes(content[:1]) == FOR_A_PERSON else "accept"
        return Judgement(0.5, verdict, (), (), (1, 1), {"detect": self.seconds})


def make_clock(path: Path, max_pixels: int) -> Clock:
    return Clock(WORK if path.stem == "busy" else 0.0)


class Served(NamedTuple):
    """A line in a process of its own."""

    port: int
    pid: int


class Usage(NamedTuple):
    """Of a line's processes together."""

    memory: float  # MiB
    threads: int
    files: int

    def __str__(self) -> str:
        return f"{self.memory:.1f} MiB, {self.threads} threads, {self.files} open files"


@contextmanager
def running(folder: Path) -> Iterator[Served]:
    for name in ("idle", "busy"):
        (folder / f"{name}.recipe").touch()
    (folder / "seen").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (512, 683, 3), np.uint8)
    for number in range(SEEN):
        Image.fromarray(pixels).save(folder / "seen" / f"{number:04}.png")
    (folder / "line.toml").write_text(LINE.format(budget=10 * 1000 * WORK))
    words = [sys.executable, __file__, "--line", str(folder / "line.toml")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        port = int(process.stdout.readline())
        while sorted(each["state"].rpartition(".")[2] for each in ask(port, "/health")["stations"]) != RUNNING:
            time.sleep(0.05)
        try:
            yield Served(port, process.pid)
        finally:
            process.terminate()
            process.wait()


def ask(port: int, path: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", f"/api/v1{path}")
    return json.loads(connection.getresponse().read())


def send(connection: http.client.HTTPConnection, station: str, part: str, body: bytes) -> tuple[int, Any, float]:
    start = time.perf_counter()
    connection.request("POST", f"/api/v1/stations/{station}/parts/{part}/views/front", body)
    reply = connection.getresponse()
    found = json.loads(reply.read())
    return reply.status, found, time.perf_counter() - start


@contextmanager
def onlookers(port: int) -> Iterator[None]:
    """A page that is open, and a reviewer who works."""
    ends = threading.Event()

    def watch() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/api/v1/events")
        reply = connection.getresponse()
        while not ends.is_set() and reply.readline():
            pass
        connection.close()

    def review() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        while not ends.wait(JUDGES_SECONDS):
            connection.request("GET", "/api/v1/review")
            if part := json.loads(connection.getresponse().read())["part"]:
                where = f"/api/v1/stations/{part['station']}/parts/{part['part']}/judgement"
                body = {"verdict": "accept"}
                connection.request("POST", where, json.dumps(body), {"Content-Type": "application/json"})
                connection.getresponse().read()

    for work in (watch, review):
        threading.Thread(target=work, daemon=True).start()
    try:
        yield
    finally:
        ends.set()


def own_cost(port: int, count: int = 200) -> Iterator[str]:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for megabytes in (0.01, 1, 4):
        body = np.random.default_rng(0).bytes(int(megabytes * 2**20))
        taken = [send(connection, "idle", f"{megabytes}-{number}", body)[2] for number in range(count)]
        p50, p99 = (1000 * float(np.quantile(taken, share)) for share in (0.5, 0.99))
        bar = f"p50 <= {3 + 6 * megabytes:.1f} ms"
        yield f"| own cost, HTTP, {megabytes:g} MB: p50, p99 | {p50:.1f} ms, {p99:.1f} ms | {bar} |"


def folder_cost(port: int, folder: Path, count: int = 200) -> Iterator[str]:
    """One after the other."""
    taken, place = [], folder / "in"
    for number in range(count):
        (place / ".hidden.png").write_bytes(b"x" * 10_000)
        start = time.time()
        (place / ".hidden.png").rename(place / f"f{number}.png")
        while (place / f"f{number}.png").exists():
            time.sleep(0.002)
        taken.append(1000 * (ask(port, f"/stations/idle/parts/f{number}")["answered"] - start))
    p50, p99 = (float(np.quantile(taken, share)) for share in (0.5, 0.99))
    yield f"| own cost, folder, 0.01 MB: p50, p99 | {p50:.1f} ms, {p99:.1f} ms | p50 <= 3.0 ms |"


def camera_cost(port: int) -> Iterator[str]:
    """From the moment that a picture was grabbed."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("POST", "/api/v1/stations/seen/commands/start_continuous")
    connection.getresponse().read()
    while len(found := ask(port, f"/stations/seen/parts?count={SEEN}")) < SEEN:
        time.sleep(0.2)
    p50, p99 = (
        1000 * float(np.quantile([each["seconds"]["answer"] for each in found], share)) for share in (0.5, 0.99)
    )
    yield f"| own cost, camera by OpenCV, 1 MB of pixels: p50, p99 | {p50:.1f} ms, {p99:.1f} ms | p50 <= 3.0 ms |"


def load(port: int, folder: Path, share: float, seconds: float) -> Iterator[str]:
    """Parts come at a share of what the judge can do, whatever becomes of those before."""
    pause, start, answers = WORK / share, time.monotonic(), list[tuple[int, Any, float]]()
    local = threading.local()

    def one(number: int) -> None:
        time.sleep(max(0.0, start + number * pause - time.monotonic()))
        if not hasattr(local, "connection"):
            local.connection = http.client.HTTPConnection("127.0.0.1", port)
        start_of = FOR_A_PERSON if number % EVERY == 0 else b"x"
        answers.append(send(local.connection, "busy", f"{share:g}-{number}", start_of + b"x" * 9_999))

    with onlookers(port), ThreadPoolExecutor(48) as pool:
        list(pool.map(one, range(int(seconds / pause))))
    taken = sorted(each[2] for each in answers if each[0] == 200)
    found = Counter("late" if each[1].get("late") else str(each[0]) for each in answers)
    late_accepted = sum(bool(each[1].get("late")) and each[1]["verdict"] == "accept" for each in answers)
    time.sleep(1)
    settings = read_line(folder / "line.toml").store
    with look_at_store(settings) as connection:
        found_parts = (each["part"] for each in each_part(connection, Wanted("busy")))
        parts = [part for part in found_parts if part.startswith(f"{share:g}-")]
    missing = sum(each[0] == 200 for each in answers) - len(parts)
    p50, p99 = (1000 * float(np.quantile(taken, part)) for part in (0.5, 0.99))
    at, ratio = f"| at {share:.0%} of capacity:", p99 / p50
    yield f"{at} p50, p99, ratio | {p50:.0f} ms, {p99:.0f} ms, {ratio:.1f} | ratio <= 2.5 at 70 % |"
    said, twice = ", ".join(f"{name} {count}" for name, count in sorted(found.items())), len(parts) - len(set(parts))
    yield f"{at} answers | {said} | |"
    yield f"{at} answered in time | {found['200'] / seconds:.0f} of {min(share, 1) / WORK:.0f} a second | |"
    yield f"{at} late and accepted; without a record; with two | {late_accepted}; {missing}; {twice} | 0; 0; 0 |"


def usage(pid: int) -> Usage:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    states = [dict(line.split(":", 1) for line in Path(f"/proc/{each}/status").read_text().splitlines())
              for each in (pid, *children)]  # fmt: skip
    files = sum(len(list(Path(f"/proc/{each}/fd").iterdir())) for each in (pid, *children))
    memory = sum(int(each["VmRSS"].split()[0]) for each in states) / 1024
    return Usage(memory, sum(int(each["Threads"]) for each in states), files)


def soak(line: Served, count: int) -> tuple[dict[str, Any], bool]:
    """What it found, and whether nothing grew: parts by four clients that connect anew at times, people beside them."""
    local, refused = threading.local(), list[int]()

    def one(number: int) -> int:
        if number % RECONNECT < 4 or not hasattr(local, "connection"):
            local.connection = http.client.HTTPConnection("127.0.0.1", line.port)
        start = FOR_A_PERSON if number % SOAK_EVERY == 0 else b"x"
        while (status := send(local.connection, "idle", f"soak-{number}", start + b"x" * 9_999)[0]) == 503:
            refused.append(number)
            time.sleep(RETRY)
        return status

    load, begin = os.getloadavg()[0], time.monotonic()
    with onlookers(line.port), ThreadPoolExecutor(4) as pool:
        statuses = Counter(pool.map(one, range(WARM)))
        with ThreadPoolExecutor(16) as crowd:  # all threads and connections to the database that there will ever be
            list(crowd.map(lambda _: ask(line.port, "/review"), range(64)))
        local = threading.local()  # nobody is connected while it is measured
        time.sleep(SETTLE)
        first = usage(line.pid)
        for at in range(WARM, count, WARM):
            statuses.update(pool.map(one, range(at, min(at + WARM, count))))
            rate = statuses.total() / (time.monotonic() - begin)
            print(f"{statuses.total()} of {count}, {rate:.0f} a second, {usage(line.pid)}", file=sys.stderr, flush=True)
        local = threading.local()
        time.sleep(SETTLE)
        last = usage(line.pid)
    answers = statuses + Counter({503: len(refused)})
    found = {
        "parts": count, "answers": {str(status): number for status, number in answers.items()},
        "rate": count / (time.monotonic() - begin), "first": first._asdict(), "last": last._asdict(), "load": load,
        "measured": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
    }  # fmt: skip
    grown = last.memory / first.memory - 1
    is_calm = grown <= MOST_GROWN and last.threads <= first.threads and last.files <= first.files
    return found, is_calm and statuses[200] == count


def soak_section(_: Options) -> str:
    """The section of RESULTS.md: all that was measured."""
    rows = SOAKS.read_text(encoding="utf-8").splitlines() if SOAKS.exists() else []
    return "\n\n".join([
        "## What parts leave behind on the line",
        "By `benchmarks/serve.py --soak PARTS`: memory, threads and open files of all processes of a line together, "
        f"after the first {WARM} parts, which come from four clients, and at the end; a page is open and a reviewer "
        "works. What is refused (503), as while the machine does something else, is sent again, but in runs of which "
        "parts were not taken. Wanted: memory grows by 5 % at most, the others not at all.",
        table(SOAK_HEAD, map(soak_cells, map(json.loads, rows))),
    ])  # fmt: skip


def soak_cells(row: dict[str, Any]) -> list[str]:
    first, last = Usage(**row["first"]), Usage(**row["last"])
    answers = ", ".join(f"{status}: {count:,}" for status, count in row["answers"].items())
    if left := row["parts"] - row["answers"].get("200", 0):
        answers += f"; {left:,} parts were not taken"
    grown = f"{last.memory / first.memory - 1:+.1%}"
    when = f"{row['measured']}, load {row['load']:.1f} before the start"
    return [f"{row['parts']:,}", answers, f"{row['rate']:.0f}", str(first), str(last), grown, when]


def store_speed(folder: Path, count: int = 5000) -> Iterator[str]:
    settings = read_line(folder / "line.toml").store
    start = time.perf_counter()
    with Store(settings) as store:
        for number in range(count):
            last = store.add(PartRecord("idle", f"s{number}", time.time(), time.time(), "inspected", "accept"))
        last.result()
        taken = time.perf_counter() - start
    yield f"| store | {count / taken:.0f} records/s | >= 500 |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--line", type=Path)
    parser.add_argument("--soak", type=int, metavar="PARTS", help="whether they leave anything behind")
    parser.add_argument("--to", type=Path, default=SOAKS, help="where what a soak found is added")
    given = parser.parse_args()
    if given.line:
        serve(read_line(given.line), make=make_clock, started=_say_port)
        return
    if given.soak:
        with tempfile.TemporaryDirectory() as name, running(Path(name)) as line:
            found, calm = soak(line, given.soak)
            with given.to.open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps(found)}\n")
            print(table(SOAK_HEAD, [soak_cells(found)]), flush=True)
        sys.exit(0 if calm else 1)
    print(measured(given.seconds))


def section(given: Options) -> str:
    """The section of RESULTS.md."""
    return "\n\n".join([
        "## On the line",
        "What a line adds to the time of its judge, which does nothing or waits 20 ms, over loopback. Under load a "
        "page is open and a reviewer works.",
        measured(2, 10_000, 2) if given.small else measured(15),
    ])  # fmt: skip


def measured(seconds: float, records: int = RECORDS, minute: float = 60) -> str:
    """The table."""
    lines = ["| what | measured | bar |", "|---|---|---|"]
    with tempfile.TemporaryDirectory() as name:
        with running(Path(name)) as (port, _):
            lines += [
                *own_cost(port),
                *folder_cost(port, Path(name)),
                *camera_cost(port),
                *load(port, Path(name), 0.7, seconds),
                *load(port, Path(name), 2, minute),
            ]
        return "\n".join([*lines, *store_speed(Path(name)), *slowest_queries(Path(name), records)])


def slowest_queries(folder: Path, records: int) -> Iterator[str]:
    found = list(query_times(folder / "million", records))
    for name, taken in found[:3]:
        yield f"| {len(found)} queries of pages, {records} records, slow ones: {name} | {taken:.0f} ms | <= 100 ms |"


def _say_port(server: Any) -> None:
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)


if __name__ == "__main__":
    main()
