"""Parse, one call, print: a file a command."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

COMMANDS = {
    "agreement": "agreement", "audit": "serve", "batch": "batch", "benchmark": "benchmark", "calibrate": "calibrate",
    "classify": "classify", "completion": "completion", "convert": "convert", "discover": "discover",
    "evaluate": "evaluate", "export": "export", "guide": "train", "inspect": "inspect", "list": "list",
    "merge": "merge", "pretrain": "train", "recipe": "recipe", "records": "serve", "report": "report",
    "serve": "serve", "synth": "synth", "teach": "recipe", "train": "train", "tune": "tune", "user": "serve",
}  # fmt: skip
"""The files of the commands in this folder."""
FOLDER_FILE = "blemish.toml"
"""Defaults of the commands in a folder and all below it."""


def folder_file() -> Path | None:
    """The nearest `blemish.toml`, in the working folder or one above it."""
    with suppress(OSError):  # the working folder may be gone
        here = Path.cwd()
        return next((each / FOLDER_FILE for each in (here, *here.parents) if (each / FOLDER_FILE).is_file()), None)
    return None


def folder_defaults(
    program: click.Group, context: click.Context, name: str | None, words: Sequence[str]
) -> dict[str, Any] | None:
    """What `blemish.toml` says of the command of that name, as click's `default_map`; None where there is no such file.

    words: what stands after the name. A shell that completes a line is told nothing.
    """
    file = None if context.resilient_parsing else folder_file()
    if file is None or name is None:
        return None
    from blemish.cli.defaults import defaults_of

    return defaults_of(program, file, name, words)
