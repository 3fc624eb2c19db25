"""The command line: parse -> one call -> print."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from blemish import __version__
from blemish.cli.options import (
    Chosen,
    arguments_of,
    leave,
    page_option,
    print_page,
    print_table,
    refuse_frozen,
    shared,
    view_of,
    watching,
)
from blemish.errors import BlemishError

if TYPE_CHECKING:
    from blemish.inspection import Inspected, Unreadable
    from blemish.metrics.drift import Drift
    from blemish.runs.plan import InspectionRun
    from blemish.runs.record import RunWriter

ELSEWHERE = {
    "agreement": "blemish.cli.agreement",
    "benchmark": "blemish.cli.benchmark",
    "calibrate": "blemish.cli.calibrate",
    "evaluate": "blemish.cli.evaluate",
    "pretrain": "blemish.cli.train",
    "recipe": "blemish.cli.recipe",
    "report": "blemish.cli.report",
    "synth": "blemish.cli.train",
    "teach": "blemish.cli.recipe",
}


class _Group(click.Group):
    """Turns what blemish refuses into one line on stderr and exit status 1; knows the commands of other files."""

    def list_commands(self, context: click.Context) -> list[str]:
        """All commands, sorted."""
        return sorted([*super().list_commands(context), *ELSEWHERE])

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """A command by name, imported if it lives elsewhere."""
        if name not in ELSEWHERE:
            return super().get_command(context, name)
        found: click.Command = getattr(import_module(ELSEWHERE[name]), name)
        return found

    def invoke(self, context: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(context)
        except BlemishError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__)
def main() -> None:
    """Visual inspection with words and a few good parts."""


@main.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGES...")
@click.option("--product", default="object", show_default=True, help="What the part is, in words.")
@click.option("--normal", multiple=True, metavar="DIR", help="Good parts: a folder, file or glob; repeatable.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default="blemish-out", show_default=True)
@click.option("--resume", is_flag=True, help="Go on with the run that --out holds.")
@click.option("--region", type=int, nargs=4, metavar="X Y W H", help="Inspect this rectangle only, in pixels.")
@click.option("--mask", metavar="FILE", help="Inspect only where this picture is white.")
@click.option("--recipe", type=click.Path(path_type=Path), metavar="FILE", help="Inspect by a frozen recipe.")
@click.option("--scale", type=float, metavar="MM", help="Millimetres a pixel, for areas; with --recipe.")
@click.option("--drift", type=float, metavar="R", help="How rarely the alarm of drifted scores may be false: 0.01.")
@click.option("--overlays/--no-overlays", default=True, help="Write a heat map over each picture.")
@page_option
@click.option("--json", "as_json", is_flag=True, help="Print each result as a line of JSON instead of a table.")
@shared
def inspect(
    chosen: Chosen,
    images: tuple[str, ...],
    product: str,
    normal: tuple[str, ...],
    out: Path,
    resume: bool,
    region: tuple[int, int, int, int] | None,
    mask: str | None,
    recipe: Path | None,
    scale: float | None,
    drift: float | None,
    overlays: bool,
    page: Path | None,
    as_json: bool,
) -> None:
    """Score pictures and show where they are anomalous.

    IMAGES are files, folders or globs. Without --normal the words alone decide; with it, good parts are learned first.
    With --recipe everything is as it was frozen, and a calibrated recipe adds a verdict and the defect regions, and
    an alarm when the scores are no longer those it was calibrated with. The folder --out gets a line a picture in
    results.jsonl, its heat map, and a summary.json.

    Exit status: 0 all inspected, and by a calibrated recipe all accepted; 11 some rejected; 3 some unreadable; 10 some
    in review; 1 failure; 2 wrong usage. Of 11, 3 and 10 the first in this order that applies.
    """
    from blemish import encoders
    from blemish.images import find
    from blemish.runs.record import RunWriter

    if drift is not None and not recipe:
        raise click.UsageError("--drift goes with --recipe, whose calibration says which scores are to be expected")
    paths = find(images)
    plan = _plan_by(recipe, chosen, scale) if recipe else _plan(chosen, product, normal, region, mask, scale)
    record = RunWriter(out, plan.settings, resume=resume, overlays=overlays, drift=plan.drift(drift or 0.01))
    _inspect(record, plan, paths, chosen.batch_size, as_json, page)
    if not as_json:
        _print_worst(record, plan)
        print_page(page)
    if record.drift and record.drift.alarm:
        click.echo(_drifted(record.drift), err=True)
    leave(record.unreadable, record.inspected, _note(plan, encoders.note(plan.encoder)), record.verdicts)


def _plan(
    chosen: Chosen,
    product: str,
    normal: tuple[str, ...],
    region: tuple[int, int, int, int] | None,
    mask: str | None,
    scale: float | None,
) -> InspectionRun:
    from blemish import encoders
    from blemish.fitting import default_method
    from blemish.images import find
    from blemish.runs.plan import by_method

    if scale is not None:
        raise click.UsageError("--scale goes with --recipe, whose calibration says where a defect begins")
    good = find(normal) if normal else []
    encoder = encoders.load(chosen.encoder or encoders.DEFAULT, precision=chosen.precision)
    return by_method(
        chosen.method or default_method(encoder, good=bool(good)),
        encoder,
        precision=chosen.precision,
        product=product,
        good=good,
        arguments=arguments_of(chosen.arguments),
        view=view_of(chosen, region, mask),
        mask=mask,
        batch_size=chosen.batch_size,
    )


def _plan_by(recipe: Path, chosen: Chosen, scale: float | None) -> InspectionRun:
    from blemish.runs.plan import by_recipe

    refuse_frozen("normal", "region", "mask")
    return by_recipe(recipe, encoder=chosen.encoder, scale=scale)


def _inspect(
    record: RunWriter, plan: InspectionRun, paths: list[Path], batch_size: int, as_json: bool, page: Path | None
) -> None:
    from blemish.inspection import inspect
    from blemish.runs.decision import decide

    with watching() as watch:
        detector = plan.make(watch, record.unreadable)
        if plan.recipe:
            record.judge = decide(plan.recipe, detector, scale=plan.settings["scale"])
        todo = [path for path in paths if str(path) not in record.done]
        advance = watch("inspecting", len(todo))
        results = inspect(detector, todo, view=plan.view, batch_size=batch_size)
        results = _shown(results, record, plan, page) if page else results
        with record:
            for result in results:
                _print_lines(record.add(result), as_json)
                advance()
            _print_lines(record.finish(), as_json)


def _shown(
    results: Iterator[Inspected | Unreadable], record: RunWriter, plan: InspectionRun, page: Path
) -> Iterator[Inspected | Unreadable]:
    from blemish import encoders
    from blemish.report.runs import identity, reported

    earlier, about = record.folder if record.done else None, identity(plan.recipe) if plan.recipe else None
    note = _note(plan, encoders.note(plan.encoder))
    return reported(
        results, page, record.settings, view=plan.view, earlier=earlier, recipe=about, judge=record.judge, note=note
    )


@main.command("list")
@click.argument("what", type=click.Choice(["methods", "encoders", "layouts"]), default="methods")
def list_(what: str) -> None:
    """Show the methods, encoders or data-set layouts there are."""
    from blemish import catalog, data
    from blemish.encoders.checkpoints.names import rows
    from blemish.encoders.embedded import CARD

    if what == "methods":
        print_table(("method", *catalog.COLUMNS), [(name, *card.row()) for name, card in catalog.METHODS.items()])
    elif what == "layouts":
        print_table(("layout", "looked for"), data.described())
    else:
        print_table(("encoder", "kind", "from", "licence"), rows())
        click.echo(CARD.read_text(encoding="utf-8"))


def _print_lines(lines: Sequence[dict[str, Any]], as_json: bool) -> None:
    for line in lines if as_json else ():
        click.echo(json.dumps(line))


def _print_worst(record: RunWriter, plan: InspectionRun) -> None:
    worst = sorted(record.worst, reverse=True)
    title = f"picture, worst first ({len(worst)} of {record.inspected})"
    if calibration := plan.recipe and plan.recipe.calibration:
        judged = [(f"{score:.4g}", calibration.verdict(score), path) for score, path in worst]
        print_table(("score", "verdict", title), judged)
        click.echo("\n" + ", ".join(f"{record.verdicts[name]} {name}" for name in ("accept", "review", "reject")))
    else:
        print_table(("score", title), [(f"{score:.4g}", path) for score, path in worst])
    if shares := record.percentiles():
        told = (f"{100 * share:g} % within {found.value:.3g} s" for share, found in shares.items())
        click.echo(f"time a picture: {', '.join(told)}")
    click.echo(f"\nresults: {record.folder / 'results.jsonl'}")
    if record.overlays:
        click.echo(f"heat maps: {record.folder / 'overlays'}")


def _drifted(drift: Drift) -> str:
    return (
        f"drift: scores are not those of the calibration, from picture {drift.since} at the latest: {drift.change}. Of "
        f"runs in which nothing has changed at most {100 * drift.false_alarm:g} % say so. Look at camera and light; "
        "unless there are just more defects than usual, calibrate again"
    )


def _note(plan: InspectionRun, note: str) -> str:
    if not plan.recipe or plan.recipe.calibration:
        return note
    lacks = "this recipe is not calibrated, so there are scores but no verdicts: see `blemish calibrate`"
    return f"{note}; {lacks}" if note else lacks


if __name__ == "__main__":
    main()
