"""What a batch is: its settings and how many parts it has, written when all pictures are listed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from blemish.batch.listing import pieces
from blemish.batch.results import Form
from blemish.batch.targets import Target
from blemish.batch.work import result_name, write_piece
from blemish.errors import BadData, BadInput
from blemish.progress import ShowProgress
from blemish.runs.note import NAME as NOTE
from blemish.runs.note import RunNote
from blemish.runs.shards import read_shard

MANIFEST = "batch.json"
SIZE = 500
"""Pictures of a part: what is done again when a worker dies."""


class Asked(NamedTuple):
    """What decides a batch."""

    source: str
    settings: Mapping[str, Any]  # of the run, its shard among them
    form: Form = "jsonl"
    size: int | None = None  # pictures of a part; as it was, or `SIZE`


class Manifest(NamedTuple):
    """What a batch's folder says of it."""

    source: str
    settings: Mapping[str, Any]
    form: Form
    size: int
    parts: int

    def differs(self, asked: Asked) -> list[str]:
        """What was asked for that is another."""
        names = {**self.settings, **asked.settings}
        changed = [name for name in names if self.settings.get(name) != asked.settings.get(name)]
        one, other = (self.source, self.form, self.size), (asked.source, asked.form, asked.size or self.size)
        said = ("SOURCE", "--format", "--part-size")
        return changed + [name for name, a, b in zip(said, one, other, strict=True) if a != b]


def begin(target: Target, asked: Asked, watch: ShowProgress) -> Manifest:
    """List the pictures, so many a part, and say so; what a list that was not finished has left is removed."""
    for folder in ("pictures", "results"):
        target.clear(folder)
    size, shard = asked.size or SIZE, read_shard(str(asked.settings["shard"]))
    advance, parts = watch("listing, parts", 0), 0
    for piece in pieces(asked.source, size, shard.holds):
        write_piece(target, parts, piece)
        parts += 1
        advance()
    made = Manifest(asked.source, dict(asked.settings), asked.form, size, parts)
    target.put(NOTE, json.dumps(RunNote(dict(asked.settings), None, "", None).as_json(), indent=2) + "\n")
    target.put(MANIFEST, json.dumps(made._asdict(), indent=2) + "\n")
    return made


def find_manifest(target: Target, asked: Asked, *, resume: bool) -> Manifest | None:
    """Of the batch that the target holds; raises BadInput where that is not to be gone on with, BadData for damage."""
    if not target.has(MANIFEST):
        if target.has(NOTE):
            raise BadInput(f"{target.place} holds an earlier run, and no batch: name another --out")
        return None
    if not resume:
        raise BadInput(f"{target.place} holds an earlier run: go on with it by --resume, or name another --out")
    try:
        said = json.loads(target.read(MANIFEST))
        found = Manifest(*(said[name] for name in Manifest._fields))
        changed = found.differs(asked)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadData(f"{target.place}/{MANIFEST} is damaged: begin again in another --out") from error
    if changed:
        raise BadInput(
            f"{target.place} was made with another {', '.join(changed)}, and --resume goes on with the same settings "
            "only: name another --out"
        )
    target.tidy("results")
    return found


def parts_to_do(target: Target, manifest: Manifest) -> Iterator[int]:
    """Those without results, in their order."""
    done = {f"results/{name}" for name in target.listed("results")}
    return (number for number in range(manifest.parts) if result_name(number, manifest.form) not in done)
