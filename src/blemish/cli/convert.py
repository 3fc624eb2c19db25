"""The command that writes what was found for other programs, and reads what people labelled in them: `convert`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from blemish.cli.console import say, show_progress
from blemish.cli.options import FOLDER, NEW_FOLDER, SOME_UNREADABLE
from blemish.errors import BadData, BadInput
from blemish.formats import READ, WRITTEN
from blemish.notices import amount

if TYPE_CHECKING:
    from blemish.formats.table import Annotated, Pictures, Refused, Survey

LEFT_OUT = "left-out.jsonl"


@click.command()
@click.argument("source", type=click.Path(path_type=Path), metavar="RUN|LABELS")
@click.option("--to", "target", type=click.Choice([*WRITTEN]), help="The format to write a run, or labels, in.")
@click.option("--from", "origin", type=click.Choice([*READ]), help="The format that LABELS are in.")
@click.option("--out", type=NEW_FOLDER, required=True, help="The folder to write; it must be new or empty.")
@click.option("--images", type=FOLDER, help="Where the pictures of LABELS lie, if not beside them or in images/.")
def convert(source: Path, target: str | None, origin: str | None, out: Path, images: Path | None) -> None:
    """Write what a run found in another program's format, or read labels of one.

    With --to, RUN is the folder that `blemish inspect --out` left: regions become boxes and polygons with their types
    and scores, and pictures have their verdicts. With --from, LABELS become folders that `teach`, `train` and
    `evaluate` read: good, one a type, and masks; with --to as well, the other format. A picture in whose labels
    something is wrong is left out whole and listed in left-out.jsonl: a defect that is not marked would teach as good.

    Exit status: 0 all converted; 3 some pictures left out; 1 failure; 2 wrong usage.
    """
    from blemish.files import alone_in

    if not (target or origin):
        raise click.UsageError("say --to, the format to write a run in, or --from, the one that labels are in")
    if images and not origin:
        raise click.UsageError("--images goes with --from: a run knows where its pictures lie")
    if images and origin == "yolo":
        raise click.UsageError(
            "--images does not go with --from yolo, whose pictures lie in images/ beside labels/: put a link to "
            f"{images} there"
        )
    with alone_in(out):
        _require_empty(out)
        listed = out / LEFT_OUT
        try:
            left_out = _convert(source, target, origin, out, images)
        finally:
            if listed.exists() and not listed.stat().st_size:
                listed.unlink()
    if left_out:
        raise SystemExit(SOME_UNREADABLE)


def _require_empty(out: Path) -> None:
    if any(not each.name.startswith(".") for each in out.iterdir()):
        raise BadInput(f"{out} is not empty: name another --out")


def _convert(source: Path, target: str | None, origin: str | None, out: Path, images: Path | None) -> int:
    """Returns how many entries were left out."""
    from blemish.files import JsonLines
    from blemish.formats.labels import read_labels
    from blemish.formats.runs import read_run
    from blemish.formats.table import keep

    left_out = Counter[str]()
    with show_progress() as watch, JsonLines(out / LEFT_OUT, fresh=True, way_out="make room") as listed:

        def refuse(found: Refused) -> None:
            left_out[found.kind] += 1
            listed.add(found._asdict())

        pictures = read_labels(source, origin, images, refuse=refuse) if origin else read_run(source)
        with keep(_counted(pictures, watch("reading", 0))) as (table, seen):
            if not seen.pictures:
                raise BadData(f"{source} has no picture that can be converted" + _why(left_out))
            written = _write(table, seen, out, target)
    say(f"{out}: {amount(seen.pictures, 'picture')}, {amount(seen.regions, 'region')}{written}")
    if target and not origin and not seen.regions and not seen.verdicts:
        say(
            "note: this run has no verdicts, so nothing is marked in it: `blemish calibrate` its recipe first", err=True
        )
    for kind, count in left_out.items():
        say(f"left out: {kind}, {amount(count, 'time')}, see {out / LEFT_OUT}", err=True)
    return left_out.total()


def _counted(pictures: Iterable[Annotated], advance: Callable[[], None]) -> Iterable[Annotated]:
    for picture in pictures:
        advance()
        yield picture


def _why(left_out: Counter[str]) -> str:
    return "".join(f": {kind}, {amount(count, 'time')}" for kind, count in left_out.most_common(1))


def _write(table: Pictures, seen: Survey, out: Path, target: str | None) -> str:
    """What is to be said of it."""
    from blemish.formats import written_format
    from blemish.formats.folders import write_folders

    if target is None:
        counts = write_folders(table(), seen, out)
        return "; " + ", ".join(f"{label} {count}" for label, count in sorted(counts.items()))
    form = written_format(target)
    form.write(table, seen, out)
    if form.CANNOT_HOLD:
        say(f"note: {form.CANNOT_HOLD}", err=True)
    root, here = Path(seen.root), Path.cwd()
    return f"; their names are relative to {root.relative_to(here) if here in root.parents else root}"
