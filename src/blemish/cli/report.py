"""The command that shows a finished run: `blemish report`."""

from __future__ import annotations

from pathlib import Path

import click

from blemish.cli.console import say, show_progress
from blemish.cli.options import FOLDER
from blemish.notices import amount


@click.command()
@click.argument("run", type=FOLDER)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Where to; RUN/report.html if left out.")
@click.option("--recipe", type=click.Path(path_type=Path), metavar="FILE", help="What the run was made by.")
def report(run: Path, out: Path | None, recipe: Path | None) -> None:
    """Write a page to look at from the folder RUN that `blemish inspect` left.

    One HTML file with everything in it: no network and nothing beside it is needed to open it. Of a run by a recipe
    the folder has no more than its hash: with --recipe the page has its thresholds and what taught it.
    """
    from blemish.recipes import recipe as recipes
    from blemish.report.runs import identity, page_of

    page = out or run / "report.html"
    known = identity(recipes.load(recipe)) if recipe else None
    with show_progress() as watch:
        shown = page_of(run, page, recipe=known, watch=watch)
    say(f"{page}: {amount(shown, 'picture')}, {page.stat().st_size / 1e6:.1f} MB")
