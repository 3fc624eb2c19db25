"""The command `blemish inspect`: pictures in, scores, verdicts and heat maps out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from blemish.cli.console import print_table, say, watching
from blemish.cli.options import (
    Chosen,
    arguments_of,
    leave,
    page_option,
    print_page,
    refuse_frozen,
    shared,
    view_of,
)

if TYPE_CHECKING:
    from blemish.metrics.drift import Drift
    from blemish.report import Writer
    from blemish.runs.decision import Sink
    from blemish.runs.plan import InspectionRun
    from blemish.runs.record import RunWriter


@click.command()
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
    from blemish.files import alone_in
    from blemish.images import find
    from blemish.runs.record import RunWriter

    if drift is not None and not recipe:
        raise click.UsageError("--drift goes with --recipe, whose calibration says which scores are to be expected")
    paths = find(images)
    with alone_in(out):
        plan = _plan_by(recipe, chosen, scale) if recipe else _plan(chosen, product, normal, region, mask, scale)
        told = _print_line if as_json else None
        alarm = plan.drift(drift or 0.01)
        record = RunWriter(out, plan.settings, resume=resume, overlays=overlays, drift=alarm, told=told)
        _inspect(record, plan, paths, chosen.batch_size, page)
    if not as_json:
        _print_worst(record, plan)
        print_page(page)
    if record.drift and record.drift.alarm:
        say(_drifted(record.drift), err=True)
    leave(record.unreadable, record.tally.inspected, _note(plan, encoders.note(plan.encoder)), record.tally.verdicts)


def _plan(
    chosen: Chosen,
    product: str,
    normal: tuple[str, ...],
    region: tuple[int, int, int, int] | None,
    mask: str | None,
    scale: float | None,
) -> InspectionRun:
    from blemish.fitting import default_method
    from blemish.images import find
    from blemish.runs.plan import by_method

    if scale is not None:
        raise click.UsageError("--scale goes with --recipe, whose calibration says where a defect begins")
    good = find(normal) if normal else []
    encoder = chosen.load_encoder()
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
    from blemish.devices import device_of_name
    from blemish.runs.plan import by_recipe

    refuse_frozen("normal", "region", "mask")
    return by_recipe(recipe, encoder=chosen.encoder, device=device_of_name(chosen.device), scale=scale)


def _inspect(record: RunWriter, plan: InspectionRun, paths: list[Path], batch_size: int, page: Path | None) -> None:
    from blemish.inspection import Unreadable, inspect
    from blemish.runs.decision import decision

    with ExitStack() as stack:
        watch = stack.enter_context(watching())
        report = stack.enter_context(_page(record, plan, page)) if page else None
        detector = plan.make(watch, record.unreadable)
        decide = decision(plan.recipe.calibration if plan.recipe else None, detector, scale=plan.settings.get("scale"))
        todo = record.todo(paths)
        advance = watch("inspecting", len(todo))
        sinks: list[Sink] = [stack.enter_context(record), *([report] if report else [])]
        for result in inspect(detector, todo, view=plan.view, batch_size=batch_size):
            found = result if isinstance(result, Unreadable) else decide(result)
            for sink in sinks:
                sink.add(found)
            advance()
        record.finish()
        if report:
            report.finish()


@contextmanager
def _page(record: RunWriter, plan: InspectionRun, path: Path) -> Iterator[Writer]:
    from blemish import encoders
    from blemish.report.runs import about_run, identity, page

    recipe = identity(plan.recipe) if plan.recipe else None
    about = about_run(record.settings, recipe, _note(plan, encoders.note(plan.encoder)))
    good = map(Path, record.settings["normal"])
    with page(path, about, good=good, view=plan.view, earlier=record.folder if record.resumed else None) as writer:
        yield writer


def _print_line(line: Mapping[str, Any]) -> None:
    say(json.dumps(line))


def _print_worst(record: RunWriter, plan: InspectionRun) -> None:
    worst = sorted(record.tally.worst, reverse=True)
    title = f"picture, worst first ({len(worst)} of {record.tally.inspected})"
    if calibration := plan.recipe and plan.recipe.calibration:
        judged = [(f"{score:.4g}", calibration.verdict(score), path) for score, path in worst]
        print_table(("score", "verdict", title), judged)
        say("\n" + ", ".join(f"{record.tally.verdicts[name]} {name}" for name in ("accept", "review", "reject")))
    else:
        print_table(("score", title), [(f"{score:.4g}", path) for score, path in worst])
    if shares := record.tally.percentiles():
        told = (f"{100 * share:g} % within {found.value:.3g} s" for share, found in shares.items())
        say(f"time a picture: {', '.join(told)}")
    say(f"\nresults: {record.folder / 'results.jsonl'}")
    if record.overlays:
        say(f"heat maps: {record.folder / 'overlays'}")


def _drifted(drift: Drift) -> str:
    return (
        f"drift: scores are not those of the calibration, from picture {drift.since} at the latest: {drift.change}. Of "
        f"runs in which nothing has changed at most {100 * drift.false_alarm:g} % say so. Look at camera and light; "
        "unless there are just more defects than usual, calibrate again"
    )


def _note(plan: InspectionRun, note: str) -> str:
    return "; ".join(filter(None, (note, _worth(plan))))


def _worth(plan: InspectionRun) -> str:
    """What scores without verdicts are worth."""
    if plan.recipe:
        lacks = "this recipe is not calibrated, so there are scores but no verdicts: see `blemish calibrate`"
        return "" if plan.recipe.calibration else lacks
    if plan.settings["normal"]:
        return ""
    return (
        "from words alone the scores only rank the pictures, and a good part may score nearly as high as a defective "
        "one: show some good parts by --normal before you decide by them"
    )
