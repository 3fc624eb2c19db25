"""The command `blemish inspect`: pictures in, scores, verdicts and heat maps out."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from blemish.cli.console import show_progress
from blemish.cli.options import (
    PLACE,
    DetectorOptions,
    add_detector_options,
    defects_option,
    leave,
    page_option,
    print_page,
    region_options,
    run_options,
    scale_option,
)
from blemish.cli.outcome import about_of, note_of, page_of, print_drift, print_line, print_worst
from blemish.cli.plans import SHARE, plan_by_method, plan_by_recipe

if TYPE_CHECKING:
    from blemish.runs.decision import Sink
    from blemish.runs.plan import InspectionRun
    from blemish.runs.record import RunWriter


@click.command()
@click.argument("images", nargs=-1, required=True, type=PLACE, metavar="IMAGES...")
@click.option("--product", default="object", show_default=True, help="What the part is, in words.")
@click.option(
    "--normal", multiple=True, metavar="DIR", type=PLACE, help="Good parts: folder, file or glob; repeatable."
)
@defects_option
@run_options
@region_options
@click.option("--recipe", type=click.Path(path_type=Path), metavar="FILE", help="Inspect by a frozen recipe.")
@scale_option
@click.option("--drift", type=SHARE, metavar="R", help="How rarely the alarm of drifted scores may be false: 0.01.")
@click.option("--overlays/--no-overlays", default=True, help="Write a heat map over each picture.")
@page_option
@click.option("--json", "as_json", is_flag=True, help="Print each result as a line of JSON instead of a table.")
@add_detector_options
def inspect(
    chosen: DetectorOptions,
    images: tuple[str, ...],
    product: str,
    normal: tuple[str, ...],
    defects: str | None,
    out: Path,
    resume: bool,
    shard: str | None,
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

    IMAGES are files, folders or globs. Without --normal words rank them, or by musc the pictures each other; with it,
    good parts are learned first, and suggest a threshold, which is no calibration and changes no exit status.
    With --recipe everything is as it was frozen, and a calibrated recipe adds a verdict, the defect regions, and an
    alarm when scores have drifted. The folder --out gets results.jsonl with a line a picture, heat maps, summary.json.

    Exit status: 0 all inspected, and by a calibrated recipe all accepted; 11 some rejected; 3 some unreadable; 10 some
    in review; 1 failure; 2 wrong usage. Of 11, 3 and 10 the first in this order that applies.
    """
    from blemish.files import alone_in
    from blemish.images import find
    from blemish.runs.record import RunWriter, refuse_earlier
    from blemish.runs.shards import only_shard, share_of

    paths = share_of(find(images), shard)
    with alone_in(out):
        refuse_earlier(out, resume=resume)
        whole = (
            plan_by_recipe(recipe, chosen, scale, drift, defects)
            if recipe
            else plan_by_method(chosen, product, paths, normal, region, mask, scale, drift, defects)
        )
        plan = only_shard(whole, shard)
        told, alarm = print_line if as_json else None, plan.drift(drift or 0.01)
        record = RunWriter(out, plan.settings, resume=resume, overlays=overlays, drift=alarm, told=told)
        _inspect(record, plan, paths, chosen.batch_size, page)
    if not as_json:
        print_worst(record, plan)
        print_page(page)
    print_drift(record.drift)
    leave(record.unreadable, record.tally.inspected or bool(shard), note_of(record, plan), record.tally.verdicts)


def _inspect(record: RunWriter, plan: InspectionRun, paths: list[Path], batch_size: int, page: Path | None) -> None:
    from blemish.images import Inspected, Unreadable
    from blemish.inspection import follows, inspect

    with ExitStack() as stack:
        watch = stack.enter_context(show_progress())
        report = stack.enter_context(page_of(record, plan, page)) if page else None
        detector, suggested, view = plan.make(watch, record.unreadable, suggest=not record.resumed)
        record.suggested = suggested or record.suggested
        if report:
            report.about = about_of(record, plan)
        decide = plan.decision(detector, record.suggested)
        again = follows(detector)  # what is done is looked at again, so that the stream is as if it had never stopped
        todo = paths if again else record.todo(paths)
        advance = watch("inspecting", len(todo))
        sinks: list[Sink] = [stack.enter_context(record), *([report] if report else [])]
        for result in inspect(detector, todo, view=view, batch_size=batch_size):
            advance()
            if again and isinstance(result, Inspected) and not record.todo([result.source]):
                continue
            found = result if isinstance(result, Unreadable) else decide(result)
            for sink in sinks:
                sink.add(found)
        record.finish()
        if report:
            report.finish()
