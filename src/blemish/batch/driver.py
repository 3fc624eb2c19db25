"""A batch from source to summary: list the pictures, have the parts done, count what came of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from blemish.batch.manifest import Asked, Manifest, begin, find_manifest, parts_to_do
from blemish.batch.pool import Done, in_processes
from blemish.batch.results import part_lines
from blemish.batch.targets import Target
from blemish.batch.work import Work, Worker, result_name
from blemish.cluster import Crew, spread
from blemish.errors import BadInput, BlemishError
from blemish.images import Unreadable
from blemish.images.streams import cores
from blemish.progress import Advance, ShowProgress
from blemish.runs.record import Tally, unreadable_line

NOTES = 20
"""Sentences beside the results that are kept."""
UNREADABLE, SUMMARY = "unreadable.jsonl", "summary.json"


class Outcome(NamedTuple):
    """What came of a batch."""

    tally: Tally
    unreadable: int
    some_unreadable: list[Unreadable]  # the first
    notes: list[str]


def run_batch(target: Target, asked: Asked, work: Work, crew: Crew, *, resume: bool, watch: ShowProgress) -> Outcome:
    """Do what is left of a batch, and sum it up; the caller keeps other drivers away, see `Target.alone`.

    Raises BadInput for a source or an earlier batch that does not fit, and for what a worker refuses.
    """
    manifest = find_manifest(target, asked, resume=resume) or begin(target, asked, watch)
    todo = list(parts_to_do(target, manifest))
    advance = watch("parts", manifest.parts, manifest.parts - len(todo))
    notes: dict[str, None] = {}
    for done in _doing(todo, partial(Worker, work), crew):
        notes |= dict.fromkeys(done.notes)
        advance()
    return conclude(target, manifest, list(notes)[:NOTES], watch)


def _doing(todo: list[int], make: Callable[[], Callable[[int], list[str]]], crew: Crew) -> Iterator[Done]:
    if crew.address is None:
        yield from in_processes(iter(todo), make, min(crew.workers or cores(), len(todo)))
        return
    for text in spread(todo, partial(_Messenger, make), crew):
        found = json.loads(text)
        if "refused" in found:
            raise BadInput(found["refused"])
        yield Done(found["number"], found["notes"])


class _Messenger:
    """A worker whose answers are text."""

    def __init__(self, make: Callable[[], Callable[[int], list[str]]]) -> None:
        self._make = make
        self._do: Callable[[int], list[str]] | None = None

    def __call__(self, number: int) -> str:
        try:
            self._do = self._do or self._make()
            return json.dumps({"number": number, "notes": self._do(number)})
        except BlemishError as error:
            return json.dumps({"refused": str(error)})


def conclude(target: Target, manifest: Manifest, notes: list[str], watch: ShowProgress) -> Outcome:
    """Count all results line by line, and write `unreadable.jsonl` and `summary.json`."""
    tally, count, first, last = Tally(), 0, list[Unreadable](), Unreadable("", "")
    with target.written(UNREADABLE) as path, path.open("w", encoding="ascii") as file:
        for line in _lines(target, manifest, watch("counting, parts", manifest.parts)):
            if "error" not in line:
                tally.add(line)
                continue
            bad = Unreadable(line["path"], line["error"])
            if bad == last:  # an archive that has gone, as each of its parts says
                continue
            count, last = count + 1, bad
            first += [bad] if count <= NOTES else []
            file.write(json.dumps(unreadable_line(bad)) + "\n")
    said = tally.as_json(count, notes) | {"suggested": None, "drift": None}
    target.put(SUMMARY, json.dumps(said, indent=2) + "\n")
    return Outcome(tally, count, first, notes)


def _lines(target: Target, manifest: Manifest, advance: Advance) -> Iterator[Mapping[str, Any]]:
    for number in range(manifest.parts):
        with target.copied(result_name(number, manifest.form)) as part:
            yield from part_lines(part, manifest.form)
        advance()
