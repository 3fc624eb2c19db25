"""The command that makes a shell complete the others: `blemish completion`."""

from __future__ import annotations

import click

from blemish.cli.console import say


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes SHELL complete commands, options, their choices and files.

    For bash put `eval "$(blemish completion bash)"` into ~/.bashrc, for zsh the same with zsh into ~/.zshrc, and for
    fish write it to ~/.config/fish/completions/blemish.fish.
    """
    from click.shell_completion import get_completion_class

    program = click.get_current_context().find_root()
    made = get_completion_class(shell)
    assert made
    say(made(program.command, {}, "blemish", "_BLEMISH_COMPLETE").source())
