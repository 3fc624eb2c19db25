"""Every error a caller may want to catch; each message says what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class BlemishError(Exception):
    """The root: `except BlemishError` catches whatever blemish itself refuses."""

    place = ""
    """Of a file of settings, the key that it is about: "stations[0].budget_ms"."""


class NotFitted(BlemishError):
    """A detector that learns was asked for a prediction before `fit`."""


class UnknownName(BlemishError):
    """A method, encoder, layout, layer or template name that is not in its table."""


class BadImage(BlemishError):
    """A picture that cannot be inspected: the message names the file, the reason and the way out."""


class BadWeights(BlemishError):
    """A checkpoint that is unreadable, unsafe, incomplete or of another architecture."""


class BadData(BlemishError):
    """A data set or table that does not have the layout it was said to have."""


class BadRecipe(BlemishError):
    """A recipe that is unreadable, altered, of a newer format, or meant for another encoder."""


class BadInput(BlemishError, ValueError):
    """An argument or tensor of the wrong shape, type, range or device."""


class CannotWrite(BlemishError):
    """A place that cannot be written, is full, or is being written by another run."""


class MissingExtra(BlemishError, ImportError):
    """An optional package is not installed; the message is the `pip install` that adds it."""


@contextmanager
def require_torch() -> Iterator[None]:
    """Raise MissingExtra for what is imported inside and is not there, if it comes with torch."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "tokenizers", "huggingface_hub", "scipy"):
            raise
        raise MissingExtra(
            f"this needs {error.name}, as all does but what a deployed recipe is used for: pip install "
            "'blemish[torch]', or export the recipe by `blemish export` where that is installed"
        ) from error
