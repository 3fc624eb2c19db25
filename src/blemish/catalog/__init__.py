"""Every method by name: the one table behind `blemish list`, the command line, the docs and the contract tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import Any

from blemish.catalog.bounds import require_bounds
from blemish.catalog.cards import COLUMNS, SITUATIONS, Card, Situation
from blemish.catalog.classifiers import CLASSIFIERS
from blemish.catalog.detectors import DETECTORS
from blemish.catalog.own import describe, own_card, own_name
from blemish.catalog.reconstructions import RECONSTRUCTIONS
from blemish.errors import BadInput, UnknownName
from blemish.fields import annotations_of, require_kind
from blemish.types import Classifier, Detector, Encoder

__all__ = [
    "CLASSIFIERS", "COLUMNS", "METHODS", "SITUATIONS", "Card", "Situation", "card", "card_of", "class_of", "classifier",
    "classifier_card", "detector", "identify", "method", "require_arguments",
]  # fmt: skip

NOTHING: Mapping[str, Any] = MappingProxyType({})

METHODS = dict(sorted((DETECTORS | RECONSTRUCTIONS).items()))
"""Detectors, each by its name, in the order of these."""


def card(name: str) -> Card:
    """The method's row, or what can be said of one's own, "module:Class"; raises UnknownName with those there are."""
    if ":" in name:
        return own_card(name)
    if name not in METHODS:
        raise UnknownName(f"no method {name!r}: choose from {', '.join(METHODS)}, or give your own, FILE.py:Class")
    return METHODS[name]


def classifier_card(name: str) -> Card:
    """The classifier's row; raises UnknownName with the names there are."""
    if name not in CLASSIFIERS:
        raise UnknownName(f"no classifier {name!r}: choose from {', '.join(CLASSIFIERS)}")
    return CLASSIFIERS[name]


def card_of(name: str) -> Card:
    """That of a method or of a classifier, whose names differ; raises UnknownName."""
    return CLASSIFIERS[name] if name in CLASSIFIERS else card(name)


def method(name: str) -> type[Any]:
    """The method's class, imported now."""
    return class_of(card(name))


def identify(detector: Detector) -> tuple[str, Card]:
    """Its name and its row, or what can be said of one's own."""
    made = type(detector)
    known = {card.where: (name, card) for name, card in METHODS.items()}
    return known.get(f"{made.__module__}:{made.__qualname__}") or (own_name(made), describe(made))


def class_of(card: Card) -> type[Any]:
    """What a card tells of, imported now."""
    module, _, attribute = card.where.partition(":")
    found: type[Any] = getattr(import_module(module), attribute)
    return found


def detector(name: str, encoder: str | Encoder, arguments: Mapping[str, Any]) -> Detector:
    """A detector by name, where its encoder lies; raises BadInput for an argument that it does not have."""
    require_arguments(name, arguments)
    from blemish.devices import beside

    found: Detector = method(name)(encoder, **arguments)
    return beside(found, encoder)


def classifier(
    name: str, encoder: str | Encoder, types: Sequence[str], arguments: Mapping[str, Any] = NOTHING
) -> Classifier:
    """A classifier of these types by name; raises BadInput for an argument it does not have.

    What it learns stays on the processor, wherever its encoder lies: it is little, and learned in float64.
    """
    made = class_of(classifier_card(name))
    if arguments.get("several") and "several" not in _annotations(made):
        raise BadInput(f"{name} names one type of each picture, and some have several: choose another, such as ridge")
    _require(name, made, arguments, detects=False)
    from blemish.devices import keep_here

    found: Classifier = made(encoder, types=list(types), **arguments)
    return keep_here(found)


def require_arguments(name: str, arguments: Mapping[str, Any]) -> None:
    """Raise BadInput for an argument that the method does not have, or a value that is of another kind."""
    _require(name, method(name), arguments, detects=True)


def _require(name: str, made: type[Any], arguments: Mapping[str, Any], *, detects: bool) -> None:
    known = _annotations(made)
    if unknown := sorted(set(arguments) - set(known)):
        raise BadInput(f"{name} takes no {', '.join(unknown)}; it takes {', '.join(sorted(known))}")
    for key, value in arguments.items():
        require_kind(f"{key} of {name}", value, known[key])
        if name in METHODS or not detects:  # of one's own method nothing is known
            require_bounds(name, key, value, detects=detects)


def _annotations(made: type[Any]) -> Mapping[str, Any]:
    return annotations_of(made)  # type: ignore[arg-type]  # a class can be hashed
