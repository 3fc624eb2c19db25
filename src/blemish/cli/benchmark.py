"""`blemish benchmark`: a plan -> a table."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from blemish.cli.console import say, show_progress
from blemish.cli.options import NEW_FOLDER
from blemish.cli.tracking import log_option, log_report
from blemish.errors import BadInput

if TYPE_CHECKING:
    from blemish.benchmark.plan import PlannedTrial
    from blemish.benchmark.running import AttemptAll, Failed, Finished
    from blemish.benchmark.table import Table

INCOMPLETE = 3
"""Exit status when some trials failed, or some pictures could not be read; 1 is failure, 2 wrong usage."""


@click.command()
@click.argument("plan", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--out",
    type=NEW_FOLDER,
    default="blemish-benchmark",
    show_default=True,
    help="The folder to write.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["markdown", "csv", "json"]),
    default="markdown",
    show_default=True,
    help="How the table is printed.",
)
@click.option("--ray", metavar="ADDRESS", help="Spread trials over a Ray cluster: auto, ray://HOST:10001, or local.")
@click.option("--workers", type=click.IntRange(1), metavar="N", help="With --ray, trials at once.  [default: 1 a core]")
@log_option
def benchmark(plan: Path, out: Path, form: str, ray: str | None, workers: int | None) -> None:
    """Measure methods on labelled data sets and print one table.

    PLAN is TOML; examples/benchmark.toml shows every key. Whatever is measured is kept in --out: stop at any time, and
    the same command goes on. Each trial runs in a process of its own. The table is also left there, as table.md,
    table.csv and table.json. Exit status: 0 everything measured, 3 some trials failed or some pictures could not be
    read, 1 failure, 2 wrong usage.
    """
    from blemish.benchmark.formats import FORMATS
    from blemish.benchmark.plan import omissions, read, trials
    from blemish.benchmark.running import Failed, Finished, run_trials
    from blemish.files import alone_in

    asked = read(plan)
    planned = trials(asked)
    click.get_current_context().with_resource(alone_in(out))
    for said in omissions(asked):
        say(f"left out: {said}", err=True)
    if workers and not ray:
        raise click.UsageError("--workers goes with --ray: without it trials are measured one by one")
    spread = _on_ray(ray, workers) if ray else None
    results: list[Finished | Failed] = []
    with show_progress() as watch:
        advance = watch("trials", len(planned))
        for each in run_trials(planned, out, watch=watch, attempt_all=spread):
            results.append(each)
            if isinstance(each, Finished) and each.kept:
                advance = watch("trials", len(planned), len(results))
            else:
                advance()
                _log(each)
                say(f"{len(results)} of {len(planned)}: {_told(each)}", err=True)
            _leave(planned, results, out)
    table = _leave(planned, results, out)
    say(FORMATS[form][1](table).rstrip("\n"))
    for said in table.notes:
        say(f"note: {said}", err=True)
    errors = [each.error for each in results if isinstance(each, Failed)]
    if len(errors) == len(planned):
        raise BadInput(f"no trial could be measured; of the first it was said: {errors[0]}")
    if errors or any(each.outcome["unreadable"] for each in results if isinstance(each, Finished)):
        raise SystemExit(INCOMPLETE)


def _on_ray(address: str, workers: int | None) -> AttemptAll:
    from blemish.benchmark.on_ray import attempt_on_ray
    from blemish.cluster import Crew
    from blemish.images.streams import cores

    return partial(attempt_on_ray, crew=Crew(workers, max(1, cores() // (workers or cores())), address))


def _log(each: Finished | Failed) -> None:
    """A trial that was measured, where --log asks for it."""
    from blemish.benchmark.running import Failed

    if not isinstance(each, Failed):
        asked = each.planned.asked()
        log_report(f"benchmark {asked['method']}", asked, each.outcome)


def _leave(planned: Sequence[PlannedTrial], results: Sequence[Finished | Failed], out: Path) -> Table:
    """Write the table of what there is so far."""
    from blemish.benchmark.formats import FORMATS
    from blemish.benchmark.references import references
    from blemish.benchmark.table import tabulate
    from blemish.files import write

    table = tabulate(planned, results, references())
    for file, written in FORMATS.values():
        write(out / file, written(table))
    return table


def _told(each: Finished | Failed) -> str:
    """A trial in a line: what it was, and what it came to or what went wrong."""
    from blemish.benchmark.running import Failed

    asked = each.planned.asked()
    where = "/".join(dict.fromkeys(filter(None, (asked["data"], asked["category"]))))
    what = f"{asked['method']}, {asked['encoder']}, {where}, {asked['shots']} shots, seed {asked['seed']}"
    if isinstance(each, Failed):
        return f"{what}: failed: {each.error}"
    told = {"image AUROC": each.outcome.get("image_auroc"), "named right": each.outcome.get("named_right")}
    known = [f"{name} {found['value']:.3f}" for name, found in told.items() if found]
    return f"{what}: {known[0]}" if known else what
