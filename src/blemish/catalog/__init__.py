"""Every method by name: the one table behind `blemish list`, the command line, the docs and the contract tests."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from blemish.catalog.cards import COLUMNS, SITUATIONS, Card, Situation
from blemish.catalog.detectors import DETECTORS
from blemish.errors import BadInput, UnknownName
from blemish.fields import annotations_of, require_kind
from blemish.types import Detector, Encoder

__all__ = ["COLUMNS", "METHODS", "SITUATIONS", "Card", "Situation", "card", "detector", "method", "require_arguments"]

METHODS = DETECTORS
"""Each by its name, in the order of these."""


def card(name: str) -> Card:
    """The method's row; raises UnknownName with the names there are."""
    if name not in METHODS:
        raise UnknownName(f"no method {name!r}: choose from {', '.join(METHODS)}")
    return METHODS[name]


def method(name: str) -> type[Any]:
    """The method's class, imported now."""
    module, _, attribute = card(name).where.partition(":")
    found: type[Any] = getattr(import_module(module), attribute)
    return found


def detector(name: str, encoder: str | Encoder, arguments: Mapping[str, Any]) -> Detector:
    """A detector by name, where its encoder lies; raises BadInput for an argument that it does not have."""
    require_arguments(name, arguments)
    from blemish.devices import beside

    found: Detector = method(name)(encoder, **arguments)
    return beside(found, encoder)


def require_arguments(name: str, arguments: Mapping[str, Any]) -> None:
    """Raise BadInput for an argument that the method does not have, or a value that is of another kind."""
    known = annotations_of(method(name))  # type: ignore[arg-type]  # a class can be hashed
    if unknown := sorted(set(arguments) - set(known)):
        raise BadInput(f"{name} takes no {', '.join(unknown)}; it takes {', '.join(sorted(known))}")
    for key, value in arguments.items():
        require_kind(f"{key} of {name}", value, known[key])
