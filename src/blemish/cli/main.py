"""The command line: parse -> one call -> print."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from blemish.cli import COMMANDS, folder_defaults
from blemish.cli.console import speak
from blemish.cli.options import own_option
from blemish.version import VERSION


class _Group(click.Group):
    """Imports the command that is called; turns what blemish refuses into one line on stderr and exit status 1."""

    def list_commands(self, context: click.Context) -> list[str]:
        """All commands, sorted."""
        return sorted(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """A command by name."""
        return getattr(import_module(f"blemish.cli.{COMMANDS[name]}"), name) if name in COMMANDS else None

    def resolve_command(self, context: click.Context, args: Any) -> Any:
        """The command, which then knows the defaults of this folder."""
        name, command, words = super().resolve_command(context, args)
        context.default_map = folder_defaults(self, context, name, words)
        return name, command, words

    def invoke(self, context: click.Context) -> Any:
        """Run the command."""
        with speak():
            return super().invoke(context)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(VERSION)
@own_option
def main() -> None:
    """Visual inspection with words and a few good parts."""
