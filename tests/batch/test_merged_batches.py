"""One run of batches: of archives, at URLs, and of what has gone meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pyarrow.parquet
import pytest
from tests.batch.test_batch import here, lines, run
from tests.batch.test_sources import keep, png, rows, tar, zip_of
from tests.support.deployed import brightness

from blemish.batch.archives import pictures
from blemish.batch.listing import picture_names, pieces
from blemish.batch.pool import Do, Done
from blemish.images import source_of

__all__ = ["here"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A recipe, and a folder of everything that a batch reads."""
    brightness(tmp_path / "line.blemish")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.png").write_bytes(png(9))
    zip_of(tmp_path / "photos/b.zip")
    tar(tmp_path / "photos/c.tar")
    pyarrow.parquet.write_table(rows(5), tmp_path / "photos/e.parquet", row_group_size=2)
    return tmp_path


def batch(home: Path, out: object, *more: object) -> str:
    words = ("--recipe", home / "line.blemish", "--out", out, "--workers", 1, "--part-size", 2, *more)
    return run("batch", home / "photos", *words).stderr


def test_pictures_have_the_names_that_results_call_them_by(home: Path) -> None:
    source = str(home / "photos")
    read = [source_of(found).id for piece in pieces(source, 2, keep) for found in pictures(piece)]
    assert list(picture_names(source)) == read
    assert len(read) == 1 + 3 + 3 + 5


@pytest.mark.usefixtures("here")
def test_a_run_at_a_url_is_merged_and_what_lies_in_archives_is_known(home: Path) -> None:
    batch(home, "memory://july")
    done = run("merge", "memory://july", "--of", home / "photos", "--out", home / "all")
    assert done.exit_code == 0, done.output
    assert [line["path"] for line in lines(home / "all/results.jsonl")] == list(picture_names(str(home / "photos")))
    zip_of(home / "photos/b.zip", 4)
    done = run("merge", "memory://july", "--of", home / "photos", "--out", home / "again")
    assert done.exit_code == 3
    assert f"missing: {home}/photos/b.zip/line/3.png\n" in done.stderr
    assert "1 picture missing: a batch keeps the list that it began with" in done.stderr
    few = run("merge", "memory://july", "--of", home / "photos/b.zip", "--out", home / "few")
    assert "photos/a.png was inspected and is not among the pictures that are named" in few.stderr
    fsspec.filesystem("memory").rm_file("/july/summary.json")
    done = run("merge", "memory://july", "--out", home / "unfinished")
    assert (done.exit_code, done.stderr) == (
        1,
        "Error: memory://july, shard 1/1, is not finished: go on with it by --resume\n",
    )
    fsspec.filesystem("memory").rm_file("/july/run.json")
    done = run("merge", "memory://july", "--out", home / "unfinished")
    assert "memory://july has no run.json: it is no run, or one that has not begun" in done.stderr
    assert "memory://no does not exist" in run("merge", "memory://no", "--out", home / "none").stderr
    assert "is no folder: check the name" in run("merge", home / "no", "--out", home / "none").stderr
    done = run("merge", home / "photos", "--out", "memory://there")
    assert (done.exit_code, "does not lie on this machine: name a folder" in done.stderr) == (2, True)


@pytest.fixture
def gone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The zip goes when all pictures are listed."""

    def without_it(parts: Iterator[int], make: Callable[[], Do], workers: int) -> Iterator[Done]:
        (home / "photos/b.zip").unlink()
        do = make()
        return (Done(number, do(number)) for number in parts)

    monkeypatch.setattr("blemish.batch.driver.in_processes", without_it)


@pytest.mark.usefixtures("gone")
def test_an_archive_that_goes_meanwhile_is_listed_once(home: Path) -> None:
    outs = [home / f"out{number}" for number in (1, 2)]
    for number, out in enumerate(outs, start=1):
        zip_of(home / "photos/b.zip", 60)  # dealt to shards by chance: some to both
        said = batch(home, out, "--shard", f"{number}/2")
        assert said.count("b.zip does not exist any more") == 1
        assert [line["path"] for line in lines(out / "unreadable.jsonl")] == [f"{home}/photos/b.zip"]
        parts = (lines(part) for part in (out / "results").iterdir())
        assert sum("error" in line for part in parts for line in part) > 1
    assert run("merge", *outs, "--out", home / "all").exit_code == 3
    assert len(lines(home / "all/unreadable.jsonl")) == 1


@pytest.mark.usefixtures("here")
def test_pictures_at_urls_are_those_that_are_named(home: Path) -> None:
    fsspec.filesystem("memory").put(f"{home}/photos/", "/august/", recursive=True)
    words = ("--recipe", home / "line.blemish", "--out", home / "august", "--workers", 1)
    assert run("batch", "memory://august", *words).exit_code == 0
    done = run("merge", home / "august", "--of", "memory://august", "--out", home / "all")
    assert (done.exit_code, done.stderr) == (0, "")
    assert len(lines(home / "all/results.jsonl")) == 1 + 3 + 3 + 5
    fsspec.filesystem("memory").rm("/august", recursive=True)
