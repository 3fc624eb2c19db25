"""Runs that lie elsewhere, as folders of this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from blemish.batch.targets import target_of
from blemish.errors import BlemishError


@contextmanager
def copy_runs(places: Sequence[str]) -> Iterator[list[Path]]:
    """The folders of runs; of those at a URL copies, until the block ends, and what is said of a copy names the URL.

    Raises BadInput for a place that cannot be read.
    """
    with ExitStack() as stack:
        folders = [stack.enter_context(target_of(place).whole()) for place in places]
        try:
            yield folders
        except BlemishError as error:
            said = str(error)
            for folder, place in zip(folders, places, strict=True):
                said = said.replace(str(folder), place)
            raise type(error)(said) from error
