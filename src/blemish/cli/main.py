"""The command line: parse -> one call -> print."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from blemish import __version__
from blemish.cli.console import print_table, printable, say
from blemish.errors import BlemishError
from blemish.notices import gather

ELSEWHERE = {
    "agreement": "blemish.cli.agreement",
    "benchmark": "blemish.cli.benchmark",
    "calibrate": "blemish.cli.calibrate",
    "evaluate": "blemish.cli.evaluate",
    "inspect": "blemish.cli.inspect",
    "pretrain": "blemish.cli.train",
    "train": "blemish.cli.train",
    "recipe": "blemish.cli.recipe",
    "report": "blemish.cli.report",
    "synth": "blemish.cli.train",
    "teach": "blemish.cli.recipe",
}


class _Group(click.Group):
    """Turns what blemish refuses into one line on stderr and exit status 1; knows the commands of other files."""

    def list_commands(self, context: click.Context) -> list[str]:
        """All commands, sorted."""
        return sorted([*super().list_commands(context), *ELSEWHERE])

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """A command by name, imported if it lives elsewhere."""
        if name not in ELSEWHERE:
            return super().get_command(context, name)
        found: click.Command = getattr(import_module(ELSEWHERE[name]), name)
        return found

    def invoke(self, context: click.Context) -> Any:
        """Run the command, and say at its end what was odd."""
        with gather() as notices:
            try:
                return super().invoke(context)
            except BlemishError as error:
                raise click.ClickException(printable(str(error))) from error
            finally:
                for line in notices.lines():
                    say(f"note: {line}", err=True)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__)
def main() -> None:
    """Visual inspection with words and a few good parts."""


@main.command("list")
@click.argument("what", type=click.Choice(["methods", "encoders", "layouts"]), default="methods")
def list_(what: str) -> None:
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


if __name__ == "__main__":
    main()
