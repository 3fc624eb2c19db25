"""The command that makes one run of the shards that many machines inspected: `blemish merge`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

import click

from blemish.cli.console import say
from blemish.cli.options import NEW_FOLDER, PLACE, SOME_UNREADABLE, leave
from blemish.notices import amount

_WAYS_OUT = {
    True: "a batch keeps the list that it began with, so inspect them by another one",
    False: "what came later is inspected by the same commands with --resume",
}


@click.command()
@click.argument("runs", nargs=-1, required=True, type=PLACE, metavar="RUN...")
@click.option("--out", type=NEW_FOLDER, required=True, help="The folder to write.")
@click.option("--of", "sources", multiple=True, type=PLACE, metavar="SOURCE", help="What was to be inspected.")
def merge(runs: tuple[str, ...], out: Path, sources: tuple[str, ...]) -> None:
    """Make one run of those that `blemish inspect --shard` or `blemish batch` left, one folder or URL RUN a shard.

    The folder --out is that of a run by one machine: a line a picture, in the order of their paths, or as --of names
    them; heat maps; a summary. Shards of other recipes or settings are refused, as is one that is missing, twice or not
    finished. With --of, which takes what the runs were given, it is said which pictures are in none. Drift is not
    watched: pictures did not come in one order.

    Exit status: as of `blemish inspect`; 3 as well where pictures are missing.
    """
    from blemish.batch.copies import copy_runs
    from blemish.batch.manifest import MANIFEST
    from blemish.files import alone_in
    from blemish.runs.record import refuse_earlier
    from blemish.runs.shards import merge as merge_runs

    with alone_in(out), copy_runs(runs) as folders:
        refuse_earlier(out, resume=False)
        by_batch = any((folder / MANIFEST).exists() for folder in folders)
        found = merge_runs(folders, out, _listed(sources, by_batch=by_batch) if sources else None)
    tally = found.record.tally
    counts = "".join(f", {count} {name}" for name, count in sorted(tally.verdicts.items()))
    say(f"{out}: {amount(tally.inspected, 'picture')}{counts}")
    for each in found.missing[:20]:
        say(f"missing: {each}", err=True)
    if found.missing:
        say(f"note: {amount(len(found.missing), 'picture')} missing: {_WAYS_OUT[by_batch]}", err=True)
        raise SystemExit(SOME_UNREADABLE)
    leave(found.record.unreadable, tally.inspected, "", tally.verdicts)


def _listed(sources: Sequence[str], *, by_batch: bool) -> Iterable[str]:
    """The pictures that the runs were to inspect: `blemish inspect` looks into no archive."""
    if by_batch:
        from blemish.batch.listing import picture_names

        return chain.from_iterable(map(picture_names, sources))
    from blemish.images import find

    return map(str, find(sources))
