"""The command that makes one run of the shards that many machines inspected: `blemish merge`."""

from __future__ import annotations

from pathlib import Path

import click

from blemish.cli.console import say
from blemish.cli.options import FOLDER, NEW_FOLDER, PLACE, SOME_UNREADABLE, leave
from blemish.notices import amount


@click.command()
@click.argument("runs", nargs=-1, required=True, type=FOLDER, metavar="RUN...")
@click.option("--out", type=NEW_FOLDER, required=True, help="The folder to write.")
@click.option("--of", "images", multiple=True, type=PLACE, metavar="IMAGES", help="What was to be inspected.")
def merge(runs: tuple[Path, ...], out: Path, images: tuple[str, ...]) -> None:
    """Make one run of those that `blemish inspect --shard` left, one folder RUN a shard.

    The folder --out is that of a run by one machine: a line a picture, in the order of their paths, or as --of names
    them; heat maps; a summary. Shards of other recipes or settings are refused, as is one that is missing, twice or not
    finished. With --of it is said which pictures are in none. Drift is not watched: pictures did not come in one order.

    Exit status: as of `blemish inspect`; 3 as well where pictures are missing.
    """
    from blemish.files import alone_in
    from blemish.images import find
    from blemish.runs.record import refuse_earlier
    from blemish.runs.shards import merge as merge_runs

    with alone_in(out):
        refuse_earlier(out, resume=False)
        found = merge_runs(runs, out, find(images) if images else None)
    tally = found.record.tally
    counts = "".join(f", {count} {name}" for name, count in sorted(tally.verdicts.items()))
    say(f"{out}: {amount(tally.inspected, 'picture')}{counts}")
    for each in found.missing[:20]:
        say(f"missing: {each}", err=True)
    if found.missing:
        say(f"note: {amount(len(found.missing), 'picture')} missing: inspect their shards with --resume", err=True)
        raise SystemExit(SOME_UNREADABLE)
    leave(found.record.unreadable, tally.inspected, "", tally.verdicts)
