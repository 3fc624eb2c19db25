"""Shards of a run, and the run that is made of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.test_inspect import QUICK, lines, parts, picture, run

from blemish.errors import BadInput
from blemish.runs.shards import Shard, read_shard, share_of

__all__ = ["parts"]
COUNT = 3


def test_each_picture_is_in_one_shard_and_stays_there_when_others_come() -> None:
    pictures = [Path(f"photos/{number}.png") for number in range(3000)]
    shares = [share_of(pictures, f"{number}/4") for number in range(1, 5)]
    assert sorted(each for share in shares for each in share) == sorted(pictures)
    assert all(len(share) == pytest.approx(750, abs=90) for share in shares)
    assert share_of(pictures[:10], "2/4") == [each for each in shares[1] if each in pictures[:10]]
    assert share_of(pictures, None) == pictures


@pytest.mark.parametrize("text", ["0/4", "5/4", "1/0", "1", "a/b", "1/2/3", "-1/2"])
def test_what_names_no_shard_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="such as 3/64"):
        read_shard(text)
    assert str(read_shard("2/3")) == "2/3" == str(Shard(2, 3))


def inspect_shard(parts: Path, number: int, *more: object, total: int = COUNT) -> Path:
    out = parts / f"shard{number}"
    good = ["--normal", parts / "good", *QUICK]
    done = run("inspect", parts / "new", *good, "--out", out, "--shard", f"{number}/{total}", *more)
    assert done.exit_code in (0, 3), done.output
    return out


@pytest.fixture
def shards(parts: Path) -> list[Path]:
    for number in range(6):
        picture(parts / "new" / f"more{number}.png", seed=60 + number)
    (parts / "new" / "broken.png").write_bytes(b"")
    return [inspect_shard(parts, number) for number in range(1, COUNT + 1)]


def same(line: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name != "seconds"}


def near(value: Any) -> Any:
    """The same but for rounding: pictures are seen in batches of other sizes."""
    if isinstance(value, dict):
        return {name: near(each) for name, each in value.items()}
    if isinstance(value, list):
        return [near(each) for each in value]
    return pytest.approx(value, rel=1e-5) if isinstance(value, float) else value


def test_merged_shards_are_what_one_run_leaves(parts: Path, shards: list[Path]) -> None:
    whole = run("inspect", parts / "new", "--normal", parts / "good", *QUICK, "--out", parts / "whole")
    done = run("merge", *reversed(shards), "--out", parts / "all", "--of", parts / "new")
    assert done.exit_code == whole.exit_code == 3, done.output
    assert "10 pictures" in done.stdout
    for name in ("results", "unreadable"):
        one, other = (list(map(same, lines(parts / out / f"{name}.jsonl"))) for out in ("whole", "all"))
        assert near(one) == other
    assert {len(lines(each / "results.jsonl")) for each in shards} != {0}
    assert all((parts / "all" / line["overlay"]).stat().st_size for line in lines(parts / "all" / "results.jsonl"))
    one, other = (json.loads((parts / out / "summary.json").read_text()) for out in ("whole", "all"))
    for name in ("inspected", "unreadable", "verdicts", "suggested"):
        assert one[name] == other[name]
    assert run("report", parts / "all").exit_code == 0
    by_path = run("merge", *shards, "--out", parts / "again")
    assert lines(parts / "again" / "results.jsonl") == lines(parts / "all" / "results.jsonl")
    assert by_path.exit_code == 3


def test_pictures_that_came_later_are_missing(parts: Path, shards: list[Path]) -> None:
    picture(parts / "new" / "late.png", seed=90)
    done = run("merge", *shards, "--out", parts / "all", "--of", parts / "new")
    assert done.exit_code == 3
    assert f"missing: {parts / 'new' / 'late.png'}\n" in done.stderr
    assert "1 picture missing: what came later is inspected by the same commands with --resume" in done.stderr


def _another(parts: Path, shards: list[Path]) -> list[Path]:
    note = json.loads((shards[1] / "run.json").read_text())
    note["settings"]["product"] = "bolt"
    (shards[1] / "run.json").write_text(json.dumps(note))
    return shards


def _unfinished(parts: Path, shards: list[Path]) -> list[Path]:
    (shards[2] / "summary.json").unlink()
    return shards


def _twice(parts: Path, shards: list[Path]) -> list[Path]:
    held = next(each for each in shards if lines(each / "results.jsonl"))
    other = next(each for each in shards if each != held)
    with (other / "results.jsonl").open("a") as file:
        file.write(json.dumps(lines(held / "results.jsonl")[0]) + "\n")
    return shards


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda parts, shards: shards[:2], "1 shard of 3 missing: 3/3"),
        (lambda parts, shards: [*shards, shards[0]], "are both shard 1/3"),
        (_another, "was made with another product than"),
        (_unfinished, "shard 3/3, is not finished: go on with it by --resume"),
        (_twice, "and in"),
        (lambda parts, shards: [*shards[:2], inspect_shard(parts, 5, total=7)], "cut them alike"),
    ],
)
def test_shards_that_do_not_belong_together_are_refused(
    parts: Path, shards: list[Path], change: Callable[[Path, list[Path]], list[Path]], said: str
) -> None:
    done = run("merge", *change(parts, shards), "--out", parts / "all")
    assert done.exit_code == 1, done.output
    assert said in done.stderr
    assert not (parts / "all" / "results.jsonl").exists()


def test_what_is_no_shard_or_needs_all_pictures_is_refused(parts: Path) -> None:
    run("inspect", parts / "new", "--normal", parts / "good", *QUICK, "--out", parts / "whole")
    done = run("merge", parts / "whole", "--out", parts / "all")
    assert (done.exit_code, "is no shard of a run" in done.stderr) == (1, True)
    named = ["--method", "musc", "--encoder", "test-tiny", "--out", parts / "set"]
    done = run("inspect", parts / "new", *named, "--shard", "1/2")
    assert (done.exit_code, "musc compares pictures with each other" in done.stderr) == (1, True)


def test_a_shard_goes_on_as_itself_only(parts: Path, shards: list[Path]) -> None:
    # paths, which differ from run to run, decide whether the first has any picture
    number = next(number for number, each in enumerate(shards, 1) if lines(each / "results.jsonl"))
    good = ["--normal", parts / "good", *QUICK, "--resume", "--out", shards[number - 1]]
    assert run("inspect", parts / "new", *good, "--shard", f"{number}/3").exit_code in (0, 3)
    done = run("inspect", parts / "new", *good, "--shard", f"{number % 3 + 1}/3")
    assert done.exit_code == 1
    assert "was made with another shard" in done.stderr
