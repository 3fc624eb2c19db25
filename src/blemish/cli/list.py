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
def list(what: str) -> None:
    """Show the methods, classifiers, encoders or layouts there are; methods stand under what they need at the least."""
    from blemish import catalog, data
    from blemish.encoders.checkpoints.names import rows
    from blemish.encoders.embedded import CARD

    if what == "methods":
        for each in catalog.SITUATIONS:
            _show(each, each.methods(catalog.METHODS))
    elif what == "classifiers":
        for name, card in catalog.CLASSIFIERS.items():
            _say_card(name, card)
    elif what == "layouts":
        print_table(("layout", "looked for"), data.descriptions())
    else:
        print_table(("encoder", "kind", "from", "licence"), rows())
        summary = CARD.read_text(encoding="utf-8").partition("\n|")[0]
        say(f"{summary.strip()}\n\nHow it was trained and measured: {CARD}")


def _show(situation: Situation, found: dict[str, Card]) -> None:
    """One group of methods and whom it suits."""
    if found:
        say(fill(f"{situation.title}. {situation.advice}", WIDTH) + "\n")
        for name, card in found.items():
            _say_card(name, card)
        say("")


def _say_card(name: str, card: Card) -> None:
    about = f"{name}: {card.essence}; learns from {card.learns_from}; encoders: {card.encoders}"
    say(fill(about, WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False))
