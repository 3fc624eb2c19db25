"""The command `blemish batch`: any number of pictures, wherever they lie, by many processes or machines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from blemish.cli.console import say, show_progress
from blemish.cli.options import FILE, ON, TOGETHER, leave, scale_option
from blemish.notices import amount

if TYPE_CHECKING:
    from blemish.batch.driver import Outcome


@click.command()
@click.argument("source", metavar="SOURCE")
@click.option("--recipe", type=FILE, required=True, metavar="FILE", help="Inspect by a frozen recipe.")
@click.option("--out", required=True, metavar="DIR|URL", help="The folder to write, here or in an object store.")
@click.option("--resume", is_flag=True, help="Go on with the batch that --out holds.")
@click.option("--workers", type=click.IntRange(1), metavar="N", help="Processes that inspect.  [default: 1 a core]")
@click.option("--threads", type=click.IntRange(1), metavar="N", help="Threads of each.  [default: an equal share]")
@click.option("--ray", metavar="ADDRESS", help="Have the workers on a Ray cluster: auto, ray://HOST:10001, or local.")
@click.option("--shard", metavar="K/N", help="Take the K-th of N shares of the pictures, see `blemish merge`.")
@click.option(
    "--format", "form", type=click.Choice(["jsonl", "parquet"]), default="jsonl", show_default=True,
    help="How results are written.",
)  # fmt: skip
@click.option("--part-size", type=click.IntRange(1), metavar="N", help="Pictures of a file of results.  [default: 500]")
@click.option("--encoder", metavar="NAME|PATH", help="Where the recipe's encoder lies, if not where it was.")
@click.option("--device", default="auto", show_default=True, metavar="NAME", help=ON)
@click.option("--batch-size", type=click.IntRange(1), default=8, show_default=True, help=TOGETHER)
@scale_option
def batch(
    source: str,
    recipe: Path,
    out: str,
    resume: bool,
    workers: int | None,
    threads: int | None,
    ray: str | None,
    shard: str | None,
    form: str,
    part_size: int | None,
    encoder: str | None,
    device: str,
    batch_size: int,
    scale: float | None,
) -> None:
    """Inspect any number of pictures by a recipe, in many processes, and leave results in parts.

    SOURCE is a folder, a glob, or a URL that fsspec understands: s3://, gs://, https://. In it are pictures, zips, tars
    as of webdataset, Parquet with the bytes of pictures, or a Hugging Face data set. Every part of the results is one
    file of DIR/results, in place at once: after any death the same command goes on with --resume. DIR has
    unreadable.jsonl and summary.json at the end, and `blemish merge` makes one run of it.

    Exit status: as of `blemish inspect`.
    """
    from blemish.batch.driver import run_batch
    from blemish.batch.manifest import Asked
    from blemish.batch.stores import absolute
    from blemish.batch.targets import target_of
    from blemish.batch.work import Work, plan_of_work
    from blemish.cluster import HERE, Crew
    from blemish.images.streams import cores
    from blemish.runs.shards import only_shard

    share = threads or (1 if ray else max(1, cores() // (workers or cores())))
    crew = Crew(workers, share, ray, int(device.startswith("cuda")))
    if ray and ray != HERE:  # whose workers begin elsewhere
        source, out = absolute(source), absolute(out)
    _refuse_own(recipe, encoder, device)
    file = absolute(str(recipe))
    work = Work(
        file, out, "parquet" if form == "parquet" else "jsonl", encoder, device, scale, batch_size, crew.threads
    )
    with show_progress() as watch, (target := target_of(out)).alone():
        plan = only_shard(plan_of_work(work), shard or "1/1")
        asked = Asked(source, plan.settings, work.form, part_size)
        work = work._replace(hash=plan.settings["recipe"])
        found = run_batch(target, asked, work, crew, resume=resume, watch=watch)
    _tell(found, out, form)
    leave(found.some_unreadable, found.tally.inspected or bool(shard), "", found.tally.verdicts)


def _refuse_own(recipe: Path, encoder: str | None, device: str) -> None:
    from blemish.recipes.recipe import load

    if load(recipe).deployed and (encoder or device != "auto"):
        given = "--encoder" if encoder else "--device"
        raise click.UsageError(f"{recipe} is deployed and has its own {given}: leave that out")


def _tell(found: Outcome, out: str, form: str) -> None:
    counts = "".join(f", {count} {name}" for name, count in sorted(found.tally.verdicts.items()))
    say(f"{out}: {amount(found.tally.inspected, 'picture')}{counts}")
    for each in found.notes:
        say(f"note: {each}", err=True)
    if found.unreadable > len(found.some_unreadable):
        say(f"note: {amount(found.unreadable, 'picture')} left out; {out}/unreadable.jsonl lists all", err=True)
