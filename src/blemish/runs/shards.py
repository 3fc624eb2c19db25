"""One run on many machines: which share of the pictures each inspects, and one folder made of all of theirs."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

from blemish import catalog
from blemish.errors import BadData, BadInput
from blemish.files import guard_write, json_lines, place_of
from blemish.images import Unreadable
from blemish.notices import amount
from blemish.runs.note import RunNote, read_note
from blemish.runs.plan import InspectionRun
from blemish.runs.record import RunWriter

SETTING = "shard"
"""Of a run: the share of the pictures that it inspects."""
WAY_OUT = "inspect this shard again"


class Shard(NamedTuple):
    """One of so many shares, from 1."""

    number: int
    total: int

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"

    def holds(self, name: str) -> bool:
        """Whether a picture is in it, by its path as it is written: a list that grows changes no picture's shard."""
        drawn = sha256(name.encode(errors="surrogatepass")).digest()[:8]
        return int.from_bytes(drawn) % self.total == self.number - 1


def read_shard(text: str) -> Shard:
    """Of words such as 3/64; raises BadInput for others."""
    found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    shard = Shard(int(found[1]), int(found[2])) if found else Shard(0, 0)
    if not 1 <= shard.number <= shard.total:
        raise BadInput(f"--shard {text}: say which of how many, such as 3/64, from 1/64 to 64/64")
    return shard


def share_of(pictures: Sequence[Path], shard: str | None) -> list[Path]:
    """Those of a shard, in their order; all without one."""
    if shard is None:
        return list(pictures)
    mine = read_shard(shard)
    return [each for each in pictures if mine.holds(str(each))]


def only_shard(plan: InspectionRun, shard: str | None) -> InspectionRun:
    """The run of a shard; raises BadInput where a score depends on pictures that other shards have."""
    if shard is None:
        return plan
    method = plan.settings["method"]
    if catalog.card(method).scores != "one":
        raise BadInput(
            f"{method} compares pictures with each other, so no shard can do without the others: leave it out"
        )
    return plan._replace(settings=plan.settings | {SETTING: str(read_shard(shard))})


class Merged(NamedTuple):
    """What came of several runs."""

    record: RunWriter
    missing: list[str]  # pictures that were to be there and are not


class _Part(NamedTuple):
    folder: Path
    note: RunNote
    shard: Shard
    results: tuple[Path, ...]  # of `blemish batch` several, in which unreadable pictures have lines too

    def settings(self) -> dict[str, Any]:
        """Those that all shards share."""
        return {name: value for name, value in self.note.settings.items() if name != SETTING}


def merge(folders: Sequence[Path], out: Path, pictures: Iterable[str] | None = None) -> Merged:
    """One run's folder of those of all its shards, in the order of the pictures, or of their paths without a list.

    Raises BadInput for shards of different recipes or settings, for one that is missing, twice or not finished, and for
    a picture that is in two.
    """
    parts = _fitting([_part(folder) for folder in folders])
    places = _places(parts)
    listed = None if pictures is None else {_key(each): each for each in pictures}
    order = _order(places, listed)
    record = RunWriter(out, parts[0].settings(), overlays=False)
    record.suggested = parts[0].note.suggested
    with record:
        for line in _lines(parts, [places[key] for key in order if key in places]):
            _keep_overlay(line, out)
            record.take(line)
        for bad in sorted(dict.fromkeys(_unreadable(parts)), key=lambda each: Path(each.id)):
            record.add(bad)
        record.finish()
    told = places.keys() | {_key(bad.id) for bad in record.unreadable}
    return Merged(record, [each for key, each in (listed or {}).items() if key not in told])


def _part(folder: Path) -> _Part:
    note = read_note(folder, "name the folders that `blemish inspect --shard` or `blemish batch` left")
    shard = note.settings.get(SETTING)
    if not isinstance(shard, str):
        raise BadInput(f"{folder} is no shard of a run: merge what `blemish inspect --shard` or `blemish batch` left")
    if not (folder / "summary.json").exists():
        raise BadInput(f"{folder}, shard {shard}, is not finished: go on with it by --resume")
    return _Part(folder, note, read_shard(shard), _results(folder))


def _results(folder: Path) -> tuple[Path, ...]:
    """The files with its lines."""
    if (folder / "results.jsonl").exists():
        return (folder / "results.jsonl",)
    if any((folder / "results").glob("*.parquet")):
        raise BadInput(f"{folder} has results as Parquet, which other tools read as they are: merge JSON lines")
    return tuple(sorted((folder / "results").glob("*.jsonl")))


def _fitting(parts: Sequence[_Part]) -> list[_Part]:
    """In the order of the shards."""
    first, by_number = parts[0], dict[int, _Part]()
    for each in parts:
        one, other = first.settings(), each.settings()
        if changed := [name for name in {**one, **other} if one.get(name) != other.get(name)]:
            raise BadInput(f"{each.folder} was made with another {', '.join(changed)} than {first.folder}")
        if each.shard.total != first.shard.total:
            raise BadInput(f"{each.folder} is shard {each.shard} and {first.folder} {first.shard}: cut them alike")
        if (twice := by_number.setdefault(each.shard.number, each)) is not each:
            raise BadInput(f"{twice.folder} and {each.folder} are both shard {each.shard}: leave one out")
    total = first.shard.total
    if lacking := [str(Shard(number, total)) for number in range(1, total + 1) if number not in by_number]:
        some = ", ".join(lacking[:10]) + (", ..." if len(lacking) > 10 else "")
        raise BadInput(f"{amount(len(lacking), 'shard')} of {total} missing: {some}")
    return [by_number[number] for number in sorted(by_number)]


class _Place(NamedTuple):
    """Where the line of a picture begins."""

    part: int
    file: int  # of its results
    offset: int
    path: str


def _places(parts: Sequence[_Part]) -> dict[str, _Place]:
    """Of every picture by where its file lies: lines themselves are not held, since there may be millions."""
    found = dict[str, _Place]()
    files = ((number, each, results) for number, part in enumerate(parts) for each, results in enumerate(part.results))
    for number, each, results in files:
        for offset, line in _begun(results):
            key = str(line.get("file") or _key(str(line["path"])))
            place = _Place(number, each, offset, str(line["path"]))
            _refuse_two(found.setdefault(key, place), place, parts)
    return found


def _begun(results: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Lines of pictures that were inspected, each with where it begins."""
    offset = 0
    with results.open("rb") as file:
        for line in json_lines(results, ("path",), way_out=WAY_OUT):
            if "error" not in line and "score" not in line:
                raise BadData(f"{results} has a line without a score: {WAY_OUT}")
            if "error" not in line:
                yield offset, line
            offset += len(file.readline())


def _refuse_two(one: _Place, other: _Place, parts: Sequence[_Part]) -> None:
    if one is not other:
        raise BadInput(f"{other.path} is in {parts[one.part].folder} and in {parts[other.part].folder}")


def _order(places: Mapping[str, _Place], listed: Mapping[str, str] | None) -> list[str]:
    if listed is None:
        return sorted(places, key=lambda key: Path(places[key].path))
    if more := next((each.path for key, each in places.items() if key not in listed), None):
        raise BadInput(f"{more} was inspected and is not among the pictures that are named: name all")
    return list(listed)


def _key(picture: str) -> str:
    """What tells a picture from others: where its file lies, or the URL as it is."""
    return picture if "://" in picture else place_of(picture)


def _lines(parts: Sequence[_Part], places: Sequence[_Place]) -> Iterator[dict[str, Any]]:
    """Each with where its overlay lies now."""
    with ExitStack() as stack:
        files = [stack.enter_context(_OneOpen(part.results)) for part in parts]
        for place in places:
            line = files[place.part].line(place)
            yield line | ({"overlay": str(parts[place.part].folder / line["overlay"])} if "overlay" in line else {})


class _OneOpen:
    """The result files of a part, of which the last one that was read stays open."""

    def __init__(self, results: Sequence[Path]) -> None:
        self._results, self._number = results, -1
        self._file: IO[bytes] = BytesIO()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def line(self, place: _Place) -> dict[str, Any]:
        if place.file != self._number:
            self._file.close()
            self._number, self._file = place.file, self._results[place.file].open("rb")
        self._file.seek(place.offset)
        found: dict[str, Any] = json.loads(self._file.readline())
        return found


def _keep_overlay(line: dict[str, Any], out: Path) -> None:
    """The same file under the new folder; a copy where the disk is another."""
    if "overlay" not in line:
        return
    there = Path(line["overlay"])
    line["overlay"] = f"overlays/{there.name}"
    with guard_write(out):
        try:
            os.link(there, out / line["overlay"])
        except OSError:
            shutil.copyfile(there, out / line["overlay"])


def _unreadable(parts: Sequence[_Part]) -> Iterator[Unreadable]:
    for part in parts:
        for line in json_lines(part.folder / "unreadable.jsonl", ("path", "error"), way_out=WAY_OUT):
            yield Unreadable(line["path"], line["error"])
