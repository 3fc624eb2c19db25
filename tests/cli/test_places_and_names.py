from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.cli.test_inspect import QUICK, inspect, lines, parts, picture, run
from tests.structure.source import ROOT

from blemish import files
from blemish.files import alone_in
from blemish.images import overlays
from blemish.recipes import update
from blemish.runs import methods, record

__all__ = ["parts"]

NAMES = ("lot[b].png", "[/x].png", "a\nb.png", "[bold]\x1b[31m.png", "\U0001f527 \u3000.png", "caf\xe9.png")
UNDECODABLE = os.fsdecode(b"part\xff.png")


def blemish(*arguments: object, encoding: str = "utf-8", head: int | None = None) -> subprocess.CompletedProcess[bytes]:
    """The command in a process of its own, whose output nobody reads after `head` lines."""
    paths = {**os.environ, "PYTHONPATH": str(ROOT.parent), "PYTHONIOENCODING": encoding, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "blemish", *map(str, arguments)]
    if head is None:
        return subprocess.run(command, env=paths, capture_output=True, check=False)
    with subprocess.Popen(command, env=paths, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        read = b"".join(process.stdout.readline() for _ in range(head))
        process.stdout.close()
        errors = process.stderr.read()
        return subprocess.CompletedProcess(command, process.wait(), read, errors)


def arguments(parts: Path, *more: object) -> list[object]:
    return ["inspect", parts / "new", "--normal", parts / "good", "--out", parts / "out", *QUICK, *more]


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", pytest.param("latin-1", marks=pytest.mark.slow)])
def test_any_name_is_inspected_shown_and_stored(parts: Path, encoding: str) -> None:
    for number, name in enumerate([*NAMES, UNDECODABLE]):
        picture(parts / "new" / name, seed=30 + number)
    (parts / "new" / "broken[b].png").write_bytes(b"")
    done = blemish(*arguments(parts, "--report", parts / "page.html"), encoding=encoding)
    assert done.returncode == 3, done.stderr
    found = {str(Path(line["path"]).relative_to(parts / "new")) for line in lines(parts / "out" / "results.jsonl")}
    assert found >= {*NAMES, UNDECODABLE}
    assert [Path(line["path"]).name for line in lines(parts / "out" / "unreadable.jsonl")] == ["broken[b].png"]
    assert b"broken[b].png is empty" in done.stderr
    assert b"Traceback" not in done.stderr
    shown = done.stdout.decode("utf-8" if encoding == "ascii" else encoding)
    for name in ("lot[b].png", "[/x].png", r"a\nb.png", r"[bold]\x1b[31m.png", r"part\xff.png"):
        assert name in shown
    assert ("caf\xe9.png" if encoding != "ascii" else r"caf\xe9.png") in shown
    assert ("\U0001f527 \u3000.png" if encoding == "utf-8" else r"\U0001f527 \u3000.png") in shown


def test_a_long_name_is_not_cut(parts: Path) -> None:
    deep = parts / "new" / ("d" * 240) / ("e" * 240) / f"{'f' * 240}.png"
    picture(deep, seed=40)
    done = inspect(parts)
    assert done.exit_code == 0, done.output
    assert str(deep) in done.stdout


@pytest.mark.parametrize("more", [["--json"], pytest.param([], marks=pytest.mark.slow)])
def test_a_reader_that_leaves_does_not_change_how_a_run_ends(parts: Path, more: list[str]) -> None:
    done = blemish(*arguments(parts, *more), head=1)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert b"BrokenPipe" not in done.stderr
    assert len(lines(parts / "out" / "results.jsonl")) == 4
    assert (parts / "out" / "summary.json").exists()


def test_a_bracket_is_no_markup_in_any_table(parts: Path) -> None:
    recipe = parts / "r[b].blemish"
    picture(parts / "good" / "good[i].png", seed=50)
    run("recipe", "freeze", recipe, "--normal", parts / "good", "--encoder", "test-tiny", "--method", "padim")
    shown = run("recipe", "show", recipe)
    assert shown.exit_code == 0, shown.output
    assert "r[b].blemish" in shown.stdout
    assert "good[i].png" in shown.stdout


def test_a_second_run_into_one_folder_is_told_so_before_it_learns(parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def learn(*_: object, **__: object) -> Any:
        pytest.fail("it learned")

    monkeypatch.setattr(methods, "fit_and_suggest", learn)
    monkeypatch.setattr(update, "freeze", learn)
    with alone_in(parts / "out"):
        for more in ([], ["--resume"]):
            done = inspect(parts, *more)
            assert done.exit_code == 1
            assert "out is being written by another run (process" in done.stderr
    with files.alone_at(parts / "a.blemish"):
        done = run("recipe", "freeze", parts / "a.blemish", "--normal", parts / "good", *QUICK)
        assert done.exit_code == 1
        assert "is being written by another run" in done.stderr
    with files.alone_at(parts / "page.html"):
        done = inspect(parts, "--report", parts / "page.html")
        assert done.exit_code == 1
        assert "page.html is being written by another run" in done.stderr


def test_two_runs_at_once_leave_the_lines_of_one(parts: Path) -> None:
    for number in range(30):
        picture(parts / "new" / f"more{number}.png", seed=60 + number)
    command = [sys.executable, "-m", "blemish", *map(str, arguments(parts, "--no-overlays"))]
    paths = {**os.environ, "PYTHONPATH": str(ROOT.parent), "OMP_NUM_THREADS": "1"}
    both = [subprocess.Popen(command, env=paths, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(2)]
    errors = [process.communicate()[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 1]
    assert b"is being written by another run" in b"".join(errors) or b"holds an earlier run" in b"".join(errors)
    names = [line["path"] for line in lines(parts / "out" / "results.jsonl")]
    assert len(names) == len(set(names)) == 34


@pytest.mark.parametrize("place", ["/proc/blemish-out", "{parts}/new/spot.png/out"])
def test_a_place_that_cannot_be_written_is_said_before_anything_is_learned(
    parts: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def learn(*_: object, **__: object) -> Any:
        pytest.fail("it learned")

    monkeypatch.setattr(methods, "fit_and_suggest", learn)
    monkeypatch.setattr(update, "freeze", learn)
    out, good = place.format(parts=parts), ["--normal", parts / "good", *QUICK]
    for command in (
        ["inspect", parts / "new", *good, "--out", out],
        ["inspect", parts / "new", *good, "--out", parts / "o", "--report", f"{out}/page.html"],
        ["recipe", "freeze", f"{out}/a.blemish", *good],
    ):
        done = run(*command)
        assert done.exit_code == 1, done.output
        assert "cannot be written (" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def full_after(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk takes so many overlays, and then no more."""
    taken, save = 0, overlays.save_picture

    def saved(path: Path, image: Any) -> None:
        nonlocal taken
        taken += 1
        if taken > count:
            raise OSError(28, "No space left on device")
        save(path, image)

    monkeypatch.setattr(record, "save_picture", saved)


def test_what_is_done_when_the_disk_is_full_is_kept_and_gone_on_with(
    parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full_after(2, monkeypatch)
    done = inspect(parts)
    assert done.exit_code == 1
    assert "the disk is full): make room, and go on by the same command with --resume" in done.stderr
    assert "Traceback" not in done.output
    kept = (parts / "out" / "results.jsonl").read_text()
    assert len(kept.splitlines()) in (0, 1, 2)
    assert not kept or kept.endswith("\n")
    monkeypatch.undo()
    assert inspect(parts, *(["--resume"] if kept else [])).exit_code == 0
    assert len(lines(parts / "out" / "results.jsonl")) == 4


def test_a_full_disk_keeps_whole_lines(parts: Path) -> None:
    for number in range(12):
        picture(parts / "new" / f"more{number}.png", seed=60 + number)
    program = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        "from blemish.cli.main import main\n"
        "main(sys.argv[1:])\n"
    )
    command = [sys.executable, "-c", program, *map(str, arguments(parts, "--no-overlays"))]
    paths = {**os.environ, "PYTHONPATH": str(ROOT.parent), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=paths, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "the disk is full" in done.stderr
    assert "--resume" in done.stderr
    before = lines(parts / "out" / "results.jsonl")
    assert 1 <= len(before) < 16
    assert inspect(parts, "--no-overlays", "--resume").exit_code == 0
    after = lines(parts / "out" / "results.jsonl")
    assert after[: len(before)] == before
    assert len({line["path"] for line in after}) == len(after) == 16


def test_a_picture_is_the_same_however_its_path_is_spelled(parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(parts)
    (parts / "link").symlink_to("new")
    learned = ["--out", "out", "--mask", "mask.png", *QUICK]
    picture(parts / "mask.png", size=64)
    assert run("inspect", "new", "--normal", "good", *learned).exit_code == 0
    found = lines(parts / "out" / "results.jsonl")
    assert found[0]["path"] == "new/fine0.png"
    for spelling in (parts / "new", "./new", "new/", "link", "good/../new"):
        done = run("inspect", spelling, "--normal", parts / "good", *learned, "--resume")
        assert done.exit_code == 0, done.output
        assert lines(parts / "out" / "results.jsonl") == found
    monkeypatch.chdir(parts / "good")
    learned[1], learned[3] = "../out", "../mask.png"
    assert run("inspect", "../new", "--normal", "../good", *learned, "--resume").exit_code == 0
    assert lines(parts / "out" / "results.jsonl") == found
    assert json.loads((parts / "out" / "summary.json").read_text())["inspected"] == 4


def test_a_long_picture_is_listed_and_the_others_are_inspected(parts: Path) -> None:
    from PIL import Image

    Image.new("RGB", (5000, 1), (120, 120, 120)).save(parts / "new" / "rail.png")
    quick = ["--encoder", "test-tiny", "--method", "anomaly-dino", "--set", "turns=1", "--set", "image_size=64"]
    made = ["inspect", parts / "new", "--normal", parts / "good", "--out", parts / "out", *quick]
    done = run(*made)
    assert done.exit_code == 3
    assert "rail.png: 5000 x 1 keeps its shape" in done.stderr
    assert len(lines(parts / "out" / "results.jsonl")) == 4


def test_methods_are_listed_under_what_they_need_at_the_least() -> None:
    result = run("list", "methods")
    assert result.exit_code == 0
    text = result.output
    assert (
        text.index("Nothing but words.") < text.index("winclip") < text.index("Good parts. ") < text.index("patchcore")
    )
    assert text.index("patchcore") < text.index("and time to train") < text.index("supersimplenet")
    assert text.index("supersimplenet") < text.index("of other products") < text.index("april-gan")
