"""The option --log of the commands that measure: settings and numbers go to a tracker of experiments too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from blemish.cli.console import say, show_progress
from blemish.errors import BadInput

if TYPE_CHECKING:
    from blemish.progress import ShowProgress
    from blemish.tracking import Tracker

_KEY = "blemish.log"


def _keep(context: click.Context, option: click.Parameter, name: str | None) -> None:
    if not name or context.resilient_parsing:
        return
    from blemish.tracking import require_tracker

    require_tracker(name)
    context.meta[_KEY] = name


log_option = click.option(
    "--log",
    type=click.Choice(["mlflow", "wandb"]),
    expose_value=False,
    callback=_keep,
    help="Keep settings and numbers there too; in local files where no server is set.",
)


class _Untracked:
    """Nothing is kept."""

    place = ""

    def describe(self, settings: Mapping[str, Any]) -> None:
        """Keep nothing."""

    def measure(self, numbers: Mapping[str, float], step: int = 0) -> None:
        """Keep nothing."""


@contextmanager
def log_run(title: str) -> Iterator[Tracker]:
    """A run of that title where --log asks for one."""
    from blemish.tracking import open_tracker

    name = click.get_current_context().meta.get(_KEY)
    if not name:
        yield _Untracked()
        return
    with open_tracker(name, title) as tracker:
        yield tracker
    if tracker.place:
        say(f"logged: {tracker.place}", err=True)


@contextmanager
def log_progress(title: str) -> Iterator[tuple[ShowProgress, Tracker]]:
    """As `show_progress`, whose numbers a run of that title keeps where --log asks for one."""
    from blemish.tracking import track_progress

    with show_progress() as watch, log_run(title) as tracker:
        yield track_progress(watch, tracker), tracker


def log_report(title: str, settings: Mapping[str, Any], measured: Mapping[str, Any]) -> None:
    """A run that is over, in one; where it cannot be kept, that is said and nothing is lost but this."""
    from blemish.tracking import numbers_of

    try:
        with log_run(title) as tracker:
            tracker.describe(settings)
            tracker.measure(numbers_of(measured))
    except BadInput as error:
        say(f"note: {title} is not logged: {error}", err=True)
