"""The command `blemish list`: what there is to choose from."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

import click

from blemish.cli.console import print_table, say

if TYPE_CHECKING:
    from blemish.catalog import Card, Situation

WIDTH = 100
"""Columns of what is to be read, wherever it is printed."""


@click.command()
@click.argument("what", type=click.Choice(["methods", "classifiers", "encoders", "layouts"]), default="methods")
@click.option("--explain", is_flag=True, help="Also what was chosen where papers say nothing, and what was measured.")
def list(what: str, explain: bool) -> None:
    """Show the methods, classifiers, encoders or layouts there are; methods stand under what they need at the least."""
    from blemish import catalog, data
    from blemish.encoders.checkpoints.names import rows
    from blemish.encoders.embedded import CARD

    if what == "methods":
        for each in catalog.SITUATIONS:
            _show(each, each.methods(catalog.METHODS), explain)
    elif what == "classifiers":
        for name, card in catalog.CLASSIFIERS.items():
            _say_card(name, card, explain)
    elif what == "layouts":
        print_table(("layout", "looked for"), data.descriptions())
    else:
        print_table(("encoder", "kind", "from", "licence"), rows())
        summary = CARD.read_text(encoding="utf-8").partition("\n|")[0]
        say(f"{summary.strip()}\n\nHow it was trained and measured: {CARD}")


def _show(situation: Situation, found: dict[str, Card], explain: bool) -> None:
    """One group of methods and whom it suits."""
    if found:
        say(fill(f"{situation.title}. {situation.advice}", WIDTH) + "\n")
        for name, card in found.items():
            _say_card(name, card, explain)
        say("")


def _say_card(name: str, card: Card, explain: bool) -> None:
    about = f"{name}: {card.summary}; learns from {card.learns_from}; encoders: {card.encoders}"
    say(fill(about, WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False))
    for line in card.explanation if explain else ():
        say(fill(line, WIDTH, initial_indent="      ", subsequent_indent="        ", break_on_hyphens=False))
