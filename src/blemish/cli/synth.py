"""`blemish synth`: drawn parts, and their flaws."""

from __future__ import annotations

import time
from pathlib import Path

import click

from blemish.cli.console import say
from blemish.cli.options import hold
from blemish.notices import amount


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default="specimens.png",
    show_default=True,
    help="The picture to write.",
)
@click.option("--count", type=click.IntRange(1, 400), default=24, show_default=True, help="Specimens on the sheet.")
@click.option("--side", type=click.IntRange(32, 1024), default=160, show_default=True, help="Pixels of a specimen.")
@click.option("--flaw", metavar="FAMILY", help="One family of flaws, such as scratch.")
@click.option("--first", type=click.IntRange(0), default=0, show_default=True, help="Number of the first specimen.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the specimens.")
def synth(out: Path, count: int, side: int, flaw: str | None, first: int, seed: int) -> None:
    """Draw a contact sheet of specimens: good, flawed, and the flaw outlined; their names are printed."""
    import numpy as np

    from blemish.files import guard_write
    from blemish.images import save_picture
    from blemish.synth.drawn.sheets import sheet
    from blemish.synth.drawn.specimens import specimen

    hold(out)
    begun = time.time()
    drawn = [specimen(seed, number, side, family=flaw) for number in range(first, first + count)]
    pace = count / (time.time() - begun)
    with guard_write(out):
        save_picture(out, np.moveaxis(sheet(drawn), 2, 0))
    for number, each in enumerate(drawn, start=first):
        say(f"{number}: {each.product[0]}, {each.family}")
    say(f"{out}: {amount(count, 'specimen')}, {pace:.1f} a second on one core")
