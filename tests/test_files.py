from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.structure.source import ROOT

from blemish.errors import BadData, CannotWrite
from blemish.files import JsonLines, alone_at, alone_in, as_name, json_lines, place_of, sha256_of, write

HOLDER = """
import sys, time
from pathlib import Path
from blemish.files import alone_in
with alone_in(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_folder_that_another_process_holds_is_refused_until_that_process_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    command = [sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT.parent)}) as other:
        assert other.stdout
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(CannotWrite, match=rf"by another run \(process {other.pid} on "), alone_in(folder):
            pass
        other.kill()  # without a chance to tidy up
        other.wait()
    with alone_in(folder):
        (folder / "left").touch()
    assert [path.name for path in folder.iterdir()] == ["left"]


def test_a_file_is_held_as_well(tmp_path: Path) -> None:
    with (
        alone_at(tmp_path / "a.txt"),
        alone_at(tmp_path / "b.txt"),
        pytest.raises(CannotWrite, match=r"a\.txt is being written"),
        alone_at(tmp_path / "a.txt"),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_a_folder_in_which_nothing_was_left_is_removed_again(tmp_path: Path) -> None:
    with alone_in(tmp_path / "a" / "b"):
        pass
    assert not (tmp_path / "a" / "b").exists()


@pytest.mark.parametrize("place", ["file/out", "/proc/blemish", "/dev/null/x"])
def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    for hold in (alone_in, alone_at):
        with pytest.raises(CannotWrite, match=r"cannot be written \(.+\): name another"), hold(tmp_path / place):
            pass


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(CannotWrite, match="it is a folder"), alone_at(tmp_path):
        pass


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "deep" / "a.txt", "old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CannotWrite, match="the disk is full"):
        write(tmp_path / "deep" / "a.txt", "new")
    assert (tmp_path / "deep" / "a.txt").read_text() == "old"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.txt"]


def test_lines_come_back_and_one_that_was_cut_off_is_removed(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'{"number": 1}\n{"numb')
    assert list(json_lines(file)) == [{"number": 1}]
    with JsonLines(file) as lines:
        lines.add({"number": 2, "name": "\udcff\n"})
    assert list(json_lines(file, ["number"])) == [{"number": 1}, {"number": 2, "name": "\udcff\n"}]
    with pytest.raises(BadData, match=r"a\.jsonl, line 1 is damaged: remove it"):
        list(json_lines(file, ["name"]))
    with JsonLines(file, fresh=True):
        pass
    assert file.read_bytes() == b""


def test_a_line_that_does_not_fit_is_taken_back(tmp_path: Path) -> None:
    program = """
import resource, sys
from pathlib import Path
from blemish.errors import CannotWrite
from blemish.files import JsonLines
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
with JsonLines(Path(sys.argv[1])) as lines:
    try:
        for number in range(50):
            lines.add({"number": number})
    except CannotWrite as error:
        print(error)
"""
    file = tmp_path / "a.jsonl"
    command = [sys.executable, "-c", program, str(file)]
    paths = {**os.environ, "PYTHONPATH": str(ROOT.parent)}
    said = subprocess.run(command, env=paths, capture_output=True, text=True, check=True).stdout
    assert "the disk is full): make room and go on by --resume" in said
    numbers = [json.loads(line)["number"] for line in file.read_text().splitlines()]
    assert numbers == list(range(len(numbers)))
    assert 0 < len(numbers) < 10


def test_a_place_has_one_spelling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "many").mkdir()
    (tmp_path / "link").symlink_to("many")
    monkeypatch.chdir(tmp_path)
    spellings: list[str | Path] = ["many", "./many", "many/", tmp_path / "many", "link", "many/../link"]
    assert len({place_of(each) for each in spellings}) == 1


def test_a_name_made_of_another_can_be_written(tmp_path: Path) -> None:
    for text in ("part", "a/b\0c", "\U0001f600" * 100, "x" * 300, "\udcff", ""):
        (tmp_path / f"{as_name(text)}-12345678.jpg").touch()
    assert as_name("part") == "part"


def test_the_sum_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_lock_that_was_removed_meanwhile_is_made_anew(tmp_path: Path) -> None:
    begun = time.monotonic()
    with alone_at(tmp_path / "a"):
        (tmp_path / ".a.lock").unlink()
        with alone_at(tmp_path / "a"):
            pass
    assert time.monotonic() - begun < 5
