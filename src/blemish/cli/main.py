"""The command line: parse -> one call -> print."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from blemish.cli.console import printable, say
from blemish.cli.options import own_option
from blemish.errors import BlemishError, require_torch
from blemish.notices import gather
from blemish.version import VERSION

COMMANDS = {
    "agreement": "agreement", "audit": "serve", "batch": "batch", "benchmark": "benchmark", "calibrate": "calibrate",
    "classify": "classify", "discover": "discover", "evaluate": "evaluate", "export": "export", "guide": "train",
    "inspect": "inspect", "list": "list", "merge": "merge", "pretrain": "train", "recipe": "recipe", "records": "serve",
    "report": "report", "serve": "serve", "synth": "synth", "teach": "recipe", "train": "train", "tune": "tune",
    "user": "serve",
}  # fmt: skip
"""The files of the commands in this folder."""


class _Group(click.Group):
    """Imports the command that is called; turns what blemish refuses into one line on stderr and exit status 1."""

    def list_commands(self, context: click.Context) -> list[str]:
        """All commands, sorted."""
        return sorted(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """A command by name."""
        return getattr(import_module(f"blemish.cli.{COMMANDS[name]}"), name) if name in COMMANDS else None

    def invoke(self, context: click.Context) -> Any:
        """Run the command, and say at its end what was odd."""
        with gather() as notices:
            try:
                with require_torch():
                    return super().invoke(context)
            except BlemishError as error:
                raise click.ClickException(printable(str(error))) from error
            finally:
                for line in notices.lines():
                    say(f"note: {line}", err=True)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(VERSION)
@own_option
def main() -> None:
    """Visual inspection with words and a few good parts."""
