"""`blemish batch`: Ray and processes against one process, scheduling, memory, an object store, and who was killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from harness import HERE, SOURCE, Options, environment, options, ours, parser, table
from PIL import Image

sys.path.append(str(HERE / "workers"))
from plates import plate

LATENCY_MS = 20
WAITERS = 16
TINY, USUAL = "test-tiny", "embedded"


def section(given: Options) -> str:
    """The section of RESULTS.md: rates."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        recipe, pictures = _recipe(home, USUAL, given), _plates(home / "plates", 120 if given.small else 1200)
        rates = [*_ray(home, recipe, pictures, given), _waiting(given), *_store(home, recipe, pictures, given)]
    return "\n\n".join([
        "## Many machines",
        "`blemish batch` by deployed recipes (PaDiM on the default encoder, one thread a worker). Rates are of parts "
        "of results from the first to the last, without starts. The scheduling is of pieces of work "
        "that only wait for 1 s, while all workers have work: it says what Ray and this project's use of it cost, and "
        "nothing about computing. The store is moto's S3 on this machine, "
        f"{LATENCY_MS} ms behind; it takes its own time of the same cores.",
        table(("what", "found", "wanted"), rates),
    ])  # fmt: skip


def memory_section(given: Options) -> str:
    """Memory by the number of pictures."""
    with tempfile.TemporaryDirectory() as name:
        recipe = Path(name, "trivial.deploy.blemish")
        ours("scale_trivial_ours", recipe, given=given)
        memory = _memory(Path(name), recipe, given)
    return "\n\n".join([
        "## Memory of a batch",
        "At most, of the driver and of the largest of two workers, by tiny pictures and a graph of two reductions: "
        "what is measured is all else. Wanted: a hundred times as many pictures take at most 1.1 times as much.",
        table(("pictures", "driver, MiB", "worker, MiB", "seconds", "of which counting at the end"), memory),
    ])  # fmt: skip


def killed_section(given: Options) -> str:
    """A batch whose processes were killed."""
    with tempfile.TemporaryDirectory() as name:
        return f"## A batch that was killed\n\n{_killed(Path(name), _recipe(Path(name), TINY, given), given)}"


def _recipe(home: Path, encoder: str, given: Options) -> Path:
    file = home / f"{encoder}.deploy.blemish"
    ours("scale_make_ours", encoder, _plates(home / "good", 8), file, given=given)
    return file


def _plates(folder: Path, count: int) -> Path:
    folder.mkdir(exist_ok=True)
    for number in range(count):
        if not (folder / f"{number:06d}.png").exists():
            plate(np.random.default_rng(number)).save(folder / f"{number:06d}.png")
    return folder


def _ray(home: Path, recipe: Path, pictures: Path, given: Options) -> Iterator[tuple[str, str, str]]:
    """One process, one and two workers of Ray, and as many plain processes."""
    size = 10 if given.small else 50
    one = ours("scale_one_ours", recipe, pictures, home / "one", str(size), given=_single(given))["rate"]
    rates, same = {}, True
    for name, more in (
        ("ray1", ("--ray", "local", "--workers", 1)),
        ("ray2", ("--ray", "local", "--workers", 2)),
        ("processes2", ("--workers", 2)),
    ):
        out = home / name
        rates[name] = _batch(recipe, pictures, out, size, *more, given=given)["rate"]
        same &= _lines(out) == _lines(home / "one")
    yield "one process", f"{one:.1f} pictures/s", ""
    yield "Ray, 1 worker / one process", f"{rates['ray1'] / one:.2f}x", ">= 0.9x"
    yield "Ray, 2 workers / 1 worker", f"{rates['ray2'] / rates['ray1']:.2f}x", ">= 1.6x"
    yield "2 plain processes / one, all that this machine has for two", f"{rates['processes2'] / one:.2f}x", ""
    yield "Ray, 2 workers / 2 plain processes, its share of that", f"{rates['ray2'] / rates['processes2']:.2f}x", ""
    lines = (home / "one").glob("results/*.jsonl")
    sizes = [len(line) for file in lines for line in file.read_bytes().splitlines()]
    yield "bytes of a line of results", f"{sum(sizes) / len(sizes):.0f}", ""
    yield "results of all", "identical" if same else "DIFFERENT", "identical"


def _waiting(given: Options) -> tuple[str, str, str]:
    found = ours("scale_waiting_ours", str(WAITERS), "10" if given.small else "60", "1.0", given=given)
    return f"scheduling, {WAITERS} workers that wait", f"{found['efficiency']:.2f} efficiency", ">= 0.9"


def _store(home: Path, recipe: Path, pictures: Path, given: Options) -> Iterator[tuple[str, str, str]]:
    """The same pictures from the disk and from a store, one worker of one thread."""
    size = 10 if given.small else 50
    here = _batch(recipe, pictures, home / "disk", size, "--workers", 1, given=given)["rate"]
    with _bucket() as surroundings:
        ours("scale_upload_ours", pictures, "s3://plant/plates", given=given, surroundings=surroundings)
        there = _batch(
            recipe, "s3://plant/plates", home / "store", size, "--workers", 1, given=given, surroundings=surroundings
        )["rate"]
    yield f"from S3 with {LATENCY_MS} ms a request / from the disk", f"{there / here:.2f}x", ">= 0.7x"


@contextmanager
def _bucket() -> Iterator[dict[str, str]]:
    """An S3 that answers late; what the environment of those that use it says."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(HERE / "workers" / "slow_store.py"), str(port), str(LATENCY_MS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        assert server.stdout
        server.stdout.readline()
        keys = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": "us-east-1"}
        try:
            yield keys | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
        finally:
            server.kill()


def _memory(home: Path, recipe: Path, given: Options) -> list[tuple[str, ...]]:
    """By links to a few tiny pictures, so that the disk does not matter."""
    found = []
    for count in (200, 2_000) if given.small else (2_000, 200_000):
        pictures = home / f"tiny{count}"
        for number in range(count):
            file = pictures / f"{number // 20_000}" / f"{number:06d}.png"
            if number % 20_000:  # a file has no more than 65,000 names
                os.link(file.parent / f"{number // 20_000 * 20_000:06d}.png", file)
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (16, 16), (90, 90, 90)).save(file)
        words = (recipe, pictures, home / f"out{count}", 500, "--workers", 2)
        done = _batch(*words, given=given)
        ended = _batch(*words, "--resume", given=given)["seconds"]  # nothing is left but to count the results
        found.append((*(f"{each:,.0f}" for each in (count, done["driver"], done["worker"], done["seconds"], ended)),))
    return found


def _killed(home: Path, recipe: Path, given: Options) -> str:
    """A worker and then the driver are ended by -9, the batch goes on, and is one process's."""
    count = 1_000 if given.small else 20_000
    pictures = _plates(home / "many", count)
    one = ours("scale_one_ours", recipe, pictures, home / "one_of_many", "100", given=given)
    out, words = home / "killed", (recipe, pictures, home / "killed", 100, "--workers", 2)
    command = [sys.executable, str(HERE / "workers" / "scale_batch_ours.py"), *map(str, words)]
    driver = subprocess.Popen(
        command, env=environment(_single(given), str(SOURCE)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    parts = count // 100
    _wait_for(lambda: len(list(out.glob("results/*"))) >= parts // 4)
    os.kill(_workers_of(driver.pid)[0], signal.SIGKILL)
    _wait_for(lambda: len(list(out.glob("results/*"))) >= parts // 2)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    done = len(list(out.glob("results/*")))
    _batch(*words, "--resume", given=given)
    by_hash = [home / f"shard{number}" for number in (1, 2)]
    for number, each in enumerate(by_hash, start=1):
        _blemish(
            given, "inspect", pictures, "--no-overlays", *("--recipe", recipe, "--out", each, "--shard", f"{number}/2")
        )
    for name, outs in (("merged", [out]), ("merged_shards", by_hash)):
        _blemish(given, "merge", *outs, "--out", home / name, "--of", pictures)
    same = _lines(home / "merged") == _lines(home / "one_of_many") == _lines(home / "merged_shards")
    return (
        f"{count:,} drawn pictures: a worker was killed by -9, then the driver, when {done} of {parts} parts were "
        "done. Resumed and merged, and in two shards of `blemish inspect`, line for line beside one process's: "
        f"**{'equal' if same else 'DIFFERENT'}** (without times; {one['rate']:.0f} pictures a second in one process)."
    )


def _blemish(given: Options, *words: object) -> None:
    code = f"from blemish.cli.main import main\nmain({[*map(str, words)]!r})"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment(given, str(SOURCE)), capture_output=True, text=True, check=False)
    if done.returncode not in (0, 10, 11):
        raise SystemExit(done.stderr)


def _batch(
    recipe: Path,
    source: str | Path,
    out: Path,
    size: int,
    *words: object,
    given: Options,
    surroundings: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    arguments = map(str, (recipe, source, out, size, *words))
    return ours("scale_batch_ours", *arguments, given=_single(given), surroundings=surroundings)


def _single(given: Options) -> Options:
    """One thread of numpy and of whatever reads OMP_NUM_THREADS."""
    return Options(threads=1, small=given.small)


def _lines(out: Path) -> list[dict[str, Any]]:
    """In the order of the pictures, without times."""
    files = [out / "results.jsonl"] if (out / "results.jsonl").exists() else sorted(out.glob("results/*.jsonl"))
    lines = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    return [{name: value for name, value in line.items() if name not in ("seconds", "overlay")} for line in lines]


def _workers_of(driver: int) -> Sequence[int]:
    children = Path(f"/proc/{driver}/task/{driver}/children").read_text(encoding="ascii").split()
    return [int(each) for each in children if b"spawn_main" in Path(f"/proc/{each}/cmdline").read_bytes()]


def _wait_for(found: Callable[[], bool]) -> None:
    while not found():
        time.sleep(0.05)


if __name__ == "__main__":
    given = options(parser(__doc__).parse_args())
    print(*(each(given) for each in (section, memory_section, killed_section)), sep="\n\n")
