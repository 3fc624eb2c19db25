"""The command `blemish list`: what there is to choose from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from blemish.cli.console import print_table, say

if TYPE_CHECKING:
    from blemish.catalog import Situation


@click.command()
@click.argument("what", type=click.Choice(["methods", "encoders", "layouts"]), default="methods")
def list(what: str) -> None:
    """Show the methods, encoders or data-set layouts there are; methods stand under what they need at the least."""
    from blemish import catalog, data
    from blemish.encoders.checkpoints.names import rows
    from blemish.encoders.embedded import CARD

    if what == "methods":
        for each in catalog.SITUATIONS:
            _show(each)
    elif what == "layouts":
        print_table(("layout", "looked for"), data.descriptions())
    else:
        print_table(("encoder", "kind", "from", "licence"), rows())
        say(CARD.read_text(encoding="utf-8"))


def _show(situation: Situation) -> None:
    """One group of methods and whom it suits."""
    if rows := [(name, card.learns_from, card.encoders, card.essence) for name, card in situation.methods().items()]:
        say(f"{situation.title}. {situation.advice}")
        print_table(("method", "learns from", "encoders", "essence"), rows)
        say("")
