"""A batch leaves what one process leaves, whoever dies meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from tests.structure.source import ROOT
from tests.support.deployed import brightness
from tests.support.fatal import Fatal

from blemish.batch.listing import names
from blemish.batch.pool import Do, Done, in_processes
from blemish.batch.work import Work, Worker
from blemish.cli.main import main
from blemish.errors import BadInput
from blemish.images import find

COUNT, SIZE = 120, 5


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(each) for each in words])


def lines(path: Path) -> list[dict[str, Any]]:
    every = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return [{name: value for name, value in line.items() if name not in ("seconds", "drift")} for line in every]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures in folders, of which two cannot be read; the recipe; and what one process makes of them in `one`."""
    home = tmp_path_factory.mktemp("batch")
    brightness(home / "line.blemish")
    for number in range(COUNT):
        path = home / "photos" / f"day{number % 3}" / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((400, 400, 3), 80 + number, np.uint8)).save(path)
    for name in ("photos/broken.png", "photos/day1/cut.jpg"):
        (home / name).write_bytes(b"\xff\xd8\xff")
    (home / "photos/.hidden.png").write_bytes(b"")
    (home / "photos/read me.txt").write_bytes(b"")
    recipe = ("--recipe", home / "line.blemish")
    assert run("inspect", home / "photos", *recipe, "--out", home / "one", "--no-overlays").exit_code == 11
    return home


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts are done in this process, which is quicker than to begin others."""

    def in_this_process(parts: Iterator[int], make: Callable[[], Do], workers: int) -> Iterator[Done]:
        do = make()
        return (Done(number, do(number)) for number in parts)

    monkeypatch.setattr("blemish.batch.driver.in_processes", in_this_process)


def command(home: Path, out: Path, *more: object, source: str = "photos") -> list[str]:
    words = ["batch", home / source, "--recipe", home / "line.blemish", "--out", out, "--part-size", SIZE, *more]
    return [str(each) for each in words]


def merged_is_one(home: Path, *outs: Path) -> None:
    done = run("merge", *outs, "--out", outs[0].parent / "all", "--of", home / "photos")
    assert done.exit_code == 11, done.output
    for name in ("results", "unreadable"):
        assert lines(outs[0].parent / "all" / f"{name}.jsonl") == lines(home / "one" / f"{name}.jsonl")


def test_a_batch_leaves_what_one_process_leaves(home: Path, tmp_path: Path) -> None:
    done = run(*command(home, tmp_path / "out", "--workers", 2))
    assert done.exit_code == 11, done.output
    assert f"{COUNT} pictures, 57 accept, 63 reject" in done.stdout
    assert "photos/broken.png: the file is truncated" in done.stderr
    summary = json.loads((tmp_path / "out/summary.json").read_text(encoding="utf-8"))
    assert (summary["inspected"], summary["unreadable"], summary["verdicts"]["reject"]) == (COUNT, 2, 63)
    assert lines(tmp_path / "out/unreadable.jsonl") == lines(home / "one/unreadable.jsonl")
    merged_is_one(home, tmp_path / "out")


def test_shards_of_batches_are_merged_to_the_same(home: Path, tmp_path: Path, here: None) -> None:
    for number in (1, 2):
        assert run(*command(home, tmp_path / f"out{number}", "--workers", 1, "--shard", f"{number}/2")).exit_code == 11
    merged_is_one(home, tmp_path / "out2", tmp_path / "out1")


def parts_of(out: Path) -> int:
    return len(list((out / "results").glob("part-*")))


def wait_for(found: Callable[[], Any]) -> Any:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if value := found():
            return value
        time.sleep(0.005)
    raise AssertionError("it did not come to that")


def workers_of(driver: int) -> list[int]:
    """Its children, without the one that looks after what processes share."""
    children = Path(f"/proc/{driver}/task/{driver}/children").read_text(encoding="ascii").split()
    said = {int(each): Path(f"/proc/{each}/cmdline").read_bytes() for each in children}
    return [each for each, line in said.items() if b"spawn_main" in line]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks for processes in /proc")
def test_what_a_killed_worker_and_a_killed_driver_leave_is_gone_on_with(home: Path, tmp_path: Path) -> None:
    out, environment = tmp_path / "out", os.environ | {"PYTHONPATH": str(ROOT.parent)}
    again = command(home, out, "--workers", 2)
    driver = subprocess.Popen(
        [sys.executable, "-m", "blemish", *again], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for(lambda: parts_of(out))
    first, second = workers_of(driver.pid)
    os.kill(first, signal.SIGKILL)
    third = wait_for(lambda: set(workers_of(driver.pid)) - {first, second})
    held = run(*again, "--resume")
    assert held.exit_code == 1
    assert f"is being written by another run (process {driver.pid} on " in held.stderr
    wait_for(lambda: parts_of(out) > 4)
    driver.kill()
    driver.wait()
    wait_for(lambda: not any(Path(f"/proc/{each}/exe").exists() for each in (second, *third)))
    assert 0 < parts_of(out) < (COUNT + 2) // SIZE
    assert not (out / "summary.json").exists()
    (out / "results" / ".half").write_bytes(b"{")
    done = times_of(out)
    refused = run(*again)
    assert "holds an earlier run: go on with it by --resume" in refused.stderr
    assert run(*again, "--resume").exit_code == 11
    assert times_of(out).items() > done.items()  # what was done is not done again
    assert not (out / "results" / ".half").exists()
    merged_is_one(home, out)


def times_of(out: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mtime_ns for file in (out / "results").glob("part-*")}


def test_what_changed_is_refused_and_what_came_later_waits_for_another_batch(
    home: Path, tmp_path: Path, here: None
) -> None:
    few = tmp_path / "few"
    few.mkdir()
    Image.new("RGB", (20, 20)).save(few / "a.png")
    made = ["batch", few, "--recipe", home / "line.blemish", "--out", tmp_path / "out", "--workers", 1]
    assert run(*made).exit_code == 0
    Image.new("RGB", (20, 20)).save(few / "b.png")
    assert run(*made, "--resume").exit_code == 0
    assert len(lines(tmp_path / "out/results/part-00000000.jsonl")) == 1
    for more, said in (
        (["--scale", "2"], "another scale,"),
        (["--format", "parquet"], "another --format,"),
        (["--part-size", "9"], "another --part-size,"),
        (["--shard", "1/2"], "another shard,"),
    ):
        assert said in run(*made, "--resume", *more).stderr
    (tmp_path / "out/batch.json").write_text("{", encoding="utf-8")
    assert "batch.json is damaged: begin again in another --out" in run(*made, "--resume").stderr
    done = run(*made[:5], tmp_path / "other", "--encoder", "test-tiny")
    assert (done.exit_code, "is deployed and has its own --encoder" in done.stderr) == (2, True)
    done = run("batch", home / "one", "--recipe", home / "line.blemish", "--out", home / "one", "--resume")
    assert "holds an earlier run, and no batch: name another --out" in done.stderr


def test_a_deployed_recipe_needs_no_torch_here_either(home: Path, tmp_path: Path) -> None:
    work = (str(home / "line.blemish"), str(tmp_path / "out"))
    said = "import sys; from blemish.batch.work import Work, Worker; Worker(Work(*sys.argv[1:]))"
    command = [sys.executable, "-c", f"{said}; sys.exit('torch' in sys.modules)", *work]
    assert subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT.parent)}, check=False).returncode == 0


def test_a_recipe_that_is_replaced_meanwhile_is_refused_by_workers(home: Path, tmp_path: Path) -> None:
    work = Work(str(home / "line.blemish"), str(tmp_path / "out"), hash="0" * 64)
    with pytest.raises(BadInput, match=r"line\.blemish is another recipe here than where the batch began"):
        list(in_processes(iter([0]), partial(Worker, work), 1))


def test_parquet_holds_the_same(home: Path, tmp_path: Path, here: None) -> None:
    from pyarrow import parquet

    done = run(*command(home, tmp_path / "out", "--workers", 1, "--format", "parquet"))
    assert done.exit_code == 11, done.output
    table = parquet.read_table(tmp_path / "out" / "results")
    rows = {row["path"]: row for row in table.to_pylist()}
    wanted = lines(home / "one/results.jsonl")
    assert len(rows) == COUNT + 2 == len(wanted) + 2
    for line in wanted:
        row = rows[line["path"]]
        assert (row["score"], row["verdict"], row["peak_x"]) == (line["score"], line["verdict"], line["peak"]["x"])
        assert json.loads(row["regions"]) == line["regions"]
    summary = json.loads((tmp_path / "out/summary.json").read_text(encoding="utf-8"))
    assert (summary["inspected"], summary["unreadable"]) == (COUNT, 2)
    done = run("merge", tmp_path / "out", "--out", tmp_path / "all")
    assert "has results as Parquet, which other tools read as they are" in done.stderr


def test_pictures_are_listed_in_the_order_of_one_process(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = list(map(str, find([home / "photos"])))
    assert list(names(str(home / "photos"))) == wanted
    monkeypatch.setattr("blemish.batch.listing.MOST_SORTED", 7)  # so that it is sorted on the disk
    assert list(names(str(home / "photos"))) == wanted


def test_a_part_that_ends_every_worker_ends_the_run_in_words() -> None:
    with pytest.raises(BadInput, match=r"part 1 has ended 3 workers \(SIGKILL\), as happens when memory runs out"):
        list(in_processes(iter(range(3)), Fatal, 1))
