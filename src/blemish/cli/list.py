"""The command `blemish list`: what there is to choose from."""

from __future__ import annotations

import click

from blemish.cli.console import print_table, say


@click.command()
@click.argument("what", type=click.Choice(["methods", "encoders", "layouts"]), default="methods")
def list(what: str) -> None:
    """Show the methods, encoders or data-set layouts there are."""
    from blemish import catalog, data
    from blemish.encoders.checkpoints.names import rows
    from blemish.encoders.embedded import CARD

    if what == "methods":
        print_table(("method", *catalog.COLUMNS), [(name, *card.row()) for name, card in catalog.METHODS.items()])
    elif what == "layouts":
        print_table(("layout", "looked for"), data.descriptions())
    else:
        print_table(("encoder", "kind", "from", "licence"), rows())
        say(CARD.read_text(encoding="utf-8"))
