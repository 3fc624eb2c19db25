"""The command line: parse -> one call -> print."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from blemish import __version__
from blemish.errors import BadInput, BlemishError

if TYPE_CHECKING:
    from blemish.encoders import Precision
    from blemish.evaluation import Report
    from blemish.inspection import Unreadable, View
    from blemish.learning import Watch
    from blemish.recording import Record
    from blemish.types import Encoder

SOME_UNREADABLE = 3
"""Exit status when every picture that could be read was inspected but some could not; 1 is failure, 2 wrong usage."""


ELSEWHERE = {
    "pretrain": "blemish.training_commands",
    "report": "blemish.report_commands",
    "synth": "blemish.training_commands",
}


@dataclass
class Chosen:
    """The options that `inspect` and `evaluate` share."""

    method: str | None = None
    encoder: str | None = None
    precision: Precision = "auto"
    arguments: tuple[str, ...] = ()
    tile: int | None = None
    overlap: int | None = None
    white: float | None = None
    batch_size: int = 8


def _keep(context: click.Context, option: click.Parameter, value: Any) -> None:
    setattr(context.ensure_object(Chosen), str(option.name), value)


def shared(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options of `Chosen`, which the command is handed as its first argument."""
    side = click.IntRange(16)
    options = [
        _option("--method", metavar="NAME", help="See `blemish list methods`; by what there is if left out."),
        _option("--encoder", metavar="NAME|PATH", help="See `blemish list encoders`; or a file of weights."),
        _option("--precision", type=click.Choice(["auto", "float32", "bfloat16"]), default="auto", show_default=True),
        _option("--set", "arguments", multiple=True, metavar="NAME=VALUE", help="An argument of the method."),
        _option("--tile", type=side, metavar="PIXELS", help="Inspect square tiles at native resolution."),
        _option("--overlap", type=click.IntRange(0), metavar="PIXELS", help="What neighbouring tiles share."),
        _option("--white", type=float, help="Sample of full brightness, such as 4095 for 12 bits kept in 16."),
        _option("--batch-size", type=click.IntRange(1), default=8, show_default=True),
    ]
    for option in reversed(options):
        command = option(command)
    return click.make_pass_decorator(Chosen)(command)


_option = functools.partial(click.option, expose_value=False, callback=_keep)
_page = click.option(
    "--report", "page", type=click.Path(path_type=Path, dir_okay=False), help="Write a page to look at, one HTML file."
)


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
@click.option("--overlays/--no-overlays", default=True, help="Write a heat map over each picture.")
@_page
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
    overlays: bool,
    page: Path | None,
    as_json: bool,
) -> None:
    """Score pictures and show where they are anomalous.

    IMAGES are files, folders or globs. Without --normal the words alone decide; with it, good parts are learned first.
    The folder --out gets a line a picture in results.jsonl, and its heat map. Exit status: 0 all inspected, 3 some
    unreadable, 1 failure, 2 wrong usage.
    """
    from blemish import encoders
    from blemish.images import find
    from blemish.recording import Record

    paths, good = find(images), find(normal) if normal else []
    view = _view(chosen, region, mask)
    encoder = encoders.load(chosen.encoder or encoders.DEFAULT, precision=chosen.precision)
    settings = {
        "method": chosen.method or _usual(bool(good)),
        "arguments": _arguments(chosen.arguments),
        "encoder": f"{encoder.name} {encoder.sha256}".strip(),
        "precision": chosen.precision,
        "product": product,
        "normal": [str(path) for path in good],
        "region": list(region) if region else None,
        "mask": mask,
        "tile": chosen.tile,
        "overlap": view.overlap,
        "white": chosen.white,
    }
    record = Record(out, settings, resume=resume, overlays=overlays)
    _inspect(record, encoder, paths, good, view, chosen.batch_size, as_json, page)
    if not as_json:
        _print_worst(record)
        _print_page(page)
    _leave(record.unreadable, record.inspected, encoders.note(encoder))


def _inspect(
    record: Record,
    encoder: Encoder,
    paths: list[Path],
    good: list[Path],
    view: View,
    batch_size: int,
    as_json: bool,
    page: Path | None,
) -> None:
    from blemish import encoders
    from blemish.inspection import inspect
    from blemish.learning import ready

    with _watching() as watch:
        detector = ready(
            record.settings["method"],
            encoder,
            product=record.settings["product"],
            good=good,
            arguments=record.settings["arguments"],
            view=view,
            batch_size=batch_size,
            watch=watch,
            unreadable=record.unreadable,
        )
        todo = [path for path in paths if str(path) not in record.done]
        advance = watch("inspecting", len(todo))
        results = inspect(detector, todo, view=view, batch_size=batch_size)
        if page:
            from blemish.report.runs import reported

            earlier, note = record.folder if record.done else None, encoders.note(encoder)
            results = reported(results, page, record.settings, view=view, earlier=earlier, note=note)
        with record:
            for result in results:
                _print_lines(record.add(result), as_json)
                advance()
            _print_lines(record.finish(), as_json)


@main.command()
@click.argument("root", type=click.Path(path_type=Path))
@click.option("--layout", metavar="NAME", help="See `blemish list layouts`; detected if left out.")
@click.option("--category", metavar="NAME", help="One category; each of them on its own if left out.")
@click.option("--shots", type=click.IntRange(0), metavar="K", help="Good parts to learn from; all if left out.")
@click.option("--seed", type=int, default=0, show_default=True, help="Which good parts are drawn.")
@click.option("--product", help="What the part is, in words; the category's name if left out.")
@_page
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
@shared
def evaluate(
    chosen: Chosen,
    root: Path,
    layout: str | None,
    category: str | None,
    shots: int | None,
    seed: int,
    product: str | None,
    page: Path | None,
    as_json: bool,
) -> None:
    """Measure a method on a labelled data set.

    Good parts are drawn from the training split; everything is measured on the test split, each metric with its 95 %
    bootstrap interval. Exit status as for inspect.
    """
    from blemish import encoders, evaluation

    encoder = encoders.load(chosen.encoder or encoders.DEFAULT, precision=chosen.precision)
    trial = evaluation.Trial(
        root,
        layout,
        category,
        chosen.method or _usual(shots != 0),
        encoder,
        shots=shots,
        seed=seed,
        product=product,
        arguments=_arguments(chosen.arguments),
        view=_view(chosen),
        batch_size=chosen.batch_size,
    )
    with _watching() as watch:
        if page:
            from blemish.report import runs

            reports = runs.run_each(trial, page, watch=watch, note=encoders.note(encoder))
        else:
            reports = evaluation.run_each(trial, watch=watch)
    about = {"method": trial.method, "encoder": encoder.name, "seed": seed}
    if as_json:
        rows = {name: report.as_json() | about for name, report in reports.items()}
        click.echo(json.dumps(next(iter(rows.values())) if len(rows) == 1 else {"categories": rows} | about))
    else:
        _print_reports(reports, about)
        _print_page(page)
    inspected = sum(report.n_normal + report.n_anomalous for report in reports.values())
    _leave([bad for report in reports.values() for bad in report.unreadable], inspected, encoders.note(encoder))


@main.command("list")
@click.argument("what", type=click.Choice(["methods", "encoders", "layouts"]), default="methods")
def list_(what: str) -> None:
    """Show the methods, encoders or data-set layouts there are."""
    from blemish import catalog, data
    from blemish.encoders.names import rows

    if what == "methods":
        cards = [(name, c.learns_from, c.paper, c.essence) for name, c in catalog.METHODS.items()]
        _print_table(("method", "learns from", "paper", "essence"), cards)
    elif what == "layouts":
        _print_table(("layout", "looked for"), data.described())
    else:
        _print_table(("encoder", "kind", "from", "licence"), rows())


def _usual(good: bool) -> str:
    """The method for what there is: good parts, or words alone."""
    return "anomaly-dino" if good else "winclip"


def _arguments(pairs: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE with VALUE as JSON where it is JSON, else as text."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise click.UsageError(f"--set {pair}: write NAME=VALUE, for example --set neighbours=9")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def _view(chosen: Chosen, region: Sequence[int] | None = None, mask: str | None = None) -> View:
    from blemish.images import Region, read_mask
    from blemish.inspection import View

    tile, overlap = chosen.tile, chosen.overlap
    if tile is None and overlap is not None:
        raise click.UsageError("--overlap goes with --tile")
    shared = (tile or 0) // 4 if overlap is None else overlap
    if tile is not None and shared >= tile:
        raise click.UsageError(f"--overlap {overlap} must be smaller than --tile {tile}")
    return View(Region(*region) if region else None, read_mask(mask) if mask else None, tile, shared, chosen.white)


@contextmanager
def _watching() -> Iterator[Watch]:
    """Progress with an estimate on stderr, for as long as it lasts."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:

        def watch(stage: str, total: int) -> Callable[[], None]:
            task = progress.add_task(stage, total=total)
            return lambda: progress.advance(task)

        yield watch


def _print_lines(lines: Sequence[dict[str, Any]], as_json: bool) -> None:
    for line in lines if as_json else ():
        click.echo(json.dumps(line))


def _print_worst(record: Record) -> None:
    rows = [(f"{score:.4g}", path) for score, path in sorted(record.worst, reverse=True)]
    _print_table(("score", f"picture, worst first ({len(rows)} of {record.inspected})"), rows)
    click.echo(f"\nresults: {record.folder / 'results.jsonl'}")
    if record.overlays:
        click.echo(f"heat maps: {record.folder / 'overlays'}")


def _print_page(page: Path | None) -> None:
    if page:
        click.echo(f"report: {page}")


def _print_reports(reports: dict[str, Report], about: dict[str, Any]) -> None:
    click.echo(", ".join(f"{key} {value}" for key, value in about.items()))
    for name, report in reports.items():
        values = report.as_json()
        rows = [
            (key, *(f"{value[part]:.4f}" for part in ("value", "low", "high")))
            for key, value in values.items()
            if isinstance(value, dict)
        ]
        click.echo(
            f"\n{name}: {report.n_normal} good, {report.n_anomalous} anomalous, {report.shots} good parts learned"
        )
        _print_table(("metric", "value", "low", "high"), rows)
        click.echo(f"{report.seconds_per_image:.3f} s an image")


def _print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(*head, box=SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console = Console()
    # A pipe has no width: whole lines there, so that paths are never cut.
    (console if console.is_terminal else Console(width=400)).print(table)


def _leave(unreadable: Sequence[Unreadable], inspected: int, note: str) -> None:
    """Say what was not inspected, and end with the exit status that tells."""
    if note:
        click.echo(f"note: {note}", err=True)
    for bad in unreadable:
        click.echo(f"not inspected: {bad.reason}", err=True)
    if unreadable and not inspected:
        raise BadInput("no picture could be read")
    if unreadable:
        raise SystemExit(SOME_UNREADABLE)


if __name__ == "__main__":
    main()
