"""`blemish tune`: good parts -> the recipe that suits them."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import click

from blemish.cli.console import print_table, say, show_progress
from blemish.cli.options import (
    ABOVE_0,
    FILE,
    METHOD,
    PLACE,
    TOGETHER,
    DetectorOptions,
    device_option,
    hold_new,
    leave,
    region_options,
    view_of,
    white_option,
)
from blemish.notices import amount

UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def _seconds(context: click.Context, option: click.Parameter, value: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", value.strip().lower())
    if not found or found[2] not in UNITS or not float(found[1]):
        raise click.BadParameter(f"{value!r} is no time: write 90s, 10m or 1h")
    return float(found[1]) * UNITS[found[2]]


@click.command()
@click.argument("good", nargs=-1, required=True, type=PLACE, metavar="GOOD...")
@click.option("--out", type=FILE, required=True, help="The recipe to write.")
@click.option("--budget", default="10m", show_default=True, callback=_seconds, metavar="TIME", help="90s, 10m or 1h.")
@click.option("--budget-ms", type=ABOVE_0, metavar="MS", help="Milliseconds that a picture may take.")
@click.option("--defects", type=FILE, metavar="DIR", help="Real defects, which weigh more: pictures, and masks if any.")
@region_options
@white_option
@click.option("--product", help="What the part is, in words, for methods that read them.  [default: object]")
@click.option("--encoder", "encoders", multiple=True, metavar="NAME|PATH", help="To choose from; repeatable.")
@click.option(
    "--method",
    "methods",
    multiple=True,
    type=METHOD,
    metavar="NAME",
    help="To choose from, or your own, FILE.py:Class; repeatable.  [default: all]",
)
@click.option(
    "--work", type=click.Path(path_type=Path, file_okay=False), help="Folder of flaws and results, see below."
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Which parts are held out, and flaws."
)
@click.option("--batch-size", type=click.IntRange(1), default=8, show_default=True, help=TOGETHER)
@device_option
def tune(
    good: tuple[str, ...],
    out: Path,
    budget: float,
    budget_ms: float | None,
    defects: Path | None,
    region: tuple[int, int, int, int] | None,
    mask: str | None,
    white: float | None,
    product: str | None,
    encoders: tuple[str, ...],
    methods: tuple[str, ...],
    work: Path | None,
    seed: int,
    batch_size: int,
    device: str,
) -> None:
    """Choose method, encoder, view and trust in words for a part by its good parts alone, and freeze that.

    GOOD are pictures of good parts, or folders of them; four at least, better 20. Some are held out, flaws are drawn on
    copies of these by several generators, in several sizes and contrasts, and what finds them best is taken, or the
    default where nothing is surely better; no single generator decides. Fewer and fewer candidates are measured on more
    and more flaws, until --budget is spent.

    Beside OUT, or in --work, a folder keeps what was tried with intervals (tried.json), the drawn flaws (flaws.png),
    and what is needed to go on: stop at any time, and the same command goes on. A longer --budget goes on as well.
    """
    from blemish.encoders import DEFAULT
    from blemish.recipes import recipe as recipes
    from blemish.tuning.search import FLAWS, TABLE, Tuning
    from blemish.tuning.search import tune as choose
    from blemish.tuning.told import HEAD

    hold_new(out)
    folder = work or out.with_suffix(".tuning")
    view = view_of(DetectorOptions(white=white), region, mask)
    asked = Tuning(budget, budget_ms and budget_ms / 1000, product, methods, seed, device, batch_size, view)
    with show_progress() as watch:
        found = choose(good, folder, defects=defects, encoders=encoders or (DEFAULT,), asked=asked, watch=watch)
    recipes.save(found.recipe, out)
    print_table(HEAD, [row.cells() for row in found.rows if row.judged])
    for note, count in Counter(row.note for row in found.rows if not row.judged).items():
        say(f"{amount(count, 'candidate')} not measured: {note}", err=True)
    say(found.said)
    learned = len(found.recipe.taught)
    say(f"{out}: {found.recipe.method}, {amount(learned, 'good part')}; {folder / TABLE}, {folder / FLAWS}")
    leave(found.unreadable, learned, "")
