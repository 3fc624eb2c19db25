"""What an inspection came to, in words and as a page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blemish.cli.console import print_table, say
from blemish.notices import amount

if TYPE_CHECKING:
    from blemish.metrics.drift import Drift
    from blemish.recipes.recipe import Recipe
    from blemish.report import About, Writer
    from blemish.runs.plan import InspectionRun
    from blemish.runs.record import RunWriter


def print_line(line: Mapping[str, Any]) -> None:
    """One result, as JSON."""
    say(json.dumps(line))


def print_worst(record: RunWriter, plan: InspectionRun) -> None:
    """The worst pictures, how many got each verdict, the time they took, and where everything lies."""
    worst = sorted(record.tally.worst, reverse=True)
    title = f"picture, worst first ({len(worst)} of {record.tally.inspected})"
    tally, decides = record.tally, plan.recipe and plan.recipe.calibration
    if decides or record.suggested:
        _print_rows(worst, "verdict" if decides else "suggested", title)
        counts = tally.verdicts if decides else tally.suggested
        names = ("accept", "review", "reject") if decides else ("accept", "reject")
        say("\n" + ", ".join(f"{counts[name]} {name}" for name in names) + ("" if decides else ", as suggested"))
    else:
        _print_rows(worst, "", title)
    if shares := record.tally.percentiles():
        told = (f"{100 * share:g} % within {found.value:.3g} s" for share, found in shares.items())
        say(f"time a picture: {', '.join(told)}")
    say(f"\nresults: {record.folder / 'results.jsonl'}")
    if record.overlays:
        say(f"heat maps: {record.folder / 'overlays'}")


def _print_rows(worst: Sequence[tuple[float, str, str, str]], decided: str, title: str) -> None:
    """Without the columns of verdicts and of types where there are none."""
    named = any(types for *_, types in worst)
    head = ("score", *([decided] if decided else []), *(["type"] if named else []), title)
    rows = [
        (f"{score:.4g}", *([verdict] if decided else []), *([types] if named else []), path)
        for score, path, verdict, types in worst
    ]
    print_table(head, rows)


def print_drift(drift: Drift | None) -> None:
    """The alarm if there is one, on stderr."""
    if not drift or not drift.alarm:
        return
    say(
        f"drift: scores are not those of the calibration, from picture {drift.since} at the latest: {drift.change}. Of "
        f"runs in which nothing has changed at most {100 * drift.false_alarm:g} % say so. Look at camera and light; "
        "unless there are just more defects than usual, calibrate again",
        err=True,
    )


def note_of(record: RunWriter, plan: InspectionRun) -> str:
    """What there is to say of its encoder, and of scores without verdicts."""
    from blemish import encoders

    return "; ".join(filter(None, (encoders.note(plan.encoder) if plan.encoder else "", _worth(record, plan))))


@contextmanager
def page_of(record: RunWriter, plan: InspectionRun, path: Path) -> Iterator[Writer]:
    """The page that a run writes while it goes on."""
    from blemish.report.runs import page

    good, earlier = map(Path, record.settings["normal"]), record.folder if record.resumed else None
    with page(path, about_of(record, plan), good=good, view=plan.view, earlier=earlier) as writer:
        yield writer


def about_of(record: RunWriter, plan: InspectionRun) -> About:
    """What the page says of the run."""
    from blemish.report.runs import about_run, identity

    recipe = identity(plan.recipe) if plan.recipe else None
    return about_run(record.settings, recipe, suggested=record.suggested, note=note_of(record, plan))


def _lack(recipe: Recipe) -> str:
    """Why a recipe that is not calibrated suggests no threshold, and how to come to one."""
    from blemish import catalog
    from blemish.types import GOOD

    lacks = "this recipe is not calibrated, so there are scores but no verdicts"
    if recipe.deployed:
        return f"{lacks}: see `blemish calibrate`"
    known = sum(each.kind == GOOD for each in recipe.taught)
    if not known or not hasattr(catalog.method(recipe.method), "extract"):
        return f"{lacks}: see `blemish calibrate`"
    return (
        f"{lacks}. It keeps what {amount(known, 'good part')} taught it and no picture, so it suggests no threshold "
        f"either: `blemish calibrate {recipe.source} --good DIR` sets one by them, each scored as if it were unknown"
    )


def _worth(record: RunWriter, plan: InspectionRun) -> str:
    """What scores without verdicts are worth."""
    from blemish.calibration.suggestions import sentence_of

    if plan.recipe:
        return "" if plan.recipe.calibration else _lack(plan.recipe)
    if record.suggested:
        return sentence_of(record.suggested)
    if plan.settings["set"]:
        return (
            "these pictures were compared with each other and with nothing else: the scores only rank them, and what "
            "most of them have is normal here"
        )
    if plan.settings["normal"]:
        return (
            "no threshold can be suggested from a single good part, or from some that all look the same: show others "
            "by --normal"
        )
    return (
        "from words alone the scores only rank the pictures, and a good part may score nearly as high as a defective "
        "one: show some good parts by --normal before you decide by them"
    )
