"""What can be chosen from: training-free methods, on the encoders at hand, in several views of a part."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any, NamedTuple

from blemish import catalog
from blemish.catalog.cards import Card
from blemish.errors import BadInput
from blemish.fitting import default_method
from blemish.images import WHOLE, View
from blemish.types import Encoder

VARIANTS: Mapping[str, tuple[Mapping[str, Any], ...]] = {"tab": ({}, {"trust": 1.0}, {"trust": 0.0})}
"""Arguments of a method that are worth trying: how far words are trusted beside good parts."""
ORDER = ("tab", "patchcore", "subspace-ad", "padim", "rad", "winclip", "anomaly-dino")
"""From quick to slow; methods that are not named here come last."""
LARGER = 1.4
"""How many times an encoder's own side pictures must have for a larger input to show more."""
LEAST_TILE, MOST_TILES = 48, 30
"""Pixels of a tile at the least, and tiles of a picture at most: more take longer than they bring."""
LONG = 1.25
"""From how many times as long as wide on tiles of the shorter side are tried."""


class Candidate(NamedTuple):
    """A detector that could inspect the parts."""

    method: str
    encoder: str
    arguments: Mapping[str, Any]
    view: View = WHOLE

    def __str__(self) -> str:
        more = [f"{name} {value}" for name, value in self.arguments.items() if name not in ("product", "image_size")]
        return ", ".join([f"{self.method} on {Path(self.encoder).stem}", self.seen, *more])

    @property
    def seen(self) -> str:
        """The view in words."""
        side = self.arguments.get("image_size")
        at = f" at {side} px" if side else ""
        if self.view.tile:
            return f"{'whole and ' if self.view.balance else ''}tiles of {self.view.tile} px{at}"
        return f"whole{at}{', shape kept' if self.view.keep_aspect else ''}"


def candidates(
    encoders: Mapping[str, Encoder],
    size: tuple[int, int],
    *,
    product: str | None = None,
    methods: Collection[str] = (),
) -> list[Candidate]:
    """All of them for pictures of about a size (height, width), the default of the first encoder first.

    methods: those to choose from; where there are none, all that need no training. What is usually quick comes before
    what is slow, so that little time is not spent on one of them, and at last the variants of a method.
    """
    found = [
        ((number > 0, _passes(made, encoder, size), _place(method)), made)
        for name, encoder in encoders.items()
        for method, card in _methods(encoder).items()
        if not methods or method in methods
        for number, variant in enumerate(VARIANTS.get(method, ({},)))
        for made in _views(Candidate(method, name, _words(card, product) | dict(variant)), encoder, size)
    ]
    every = [made for _, made in sorted(found, key=lambda each: each[0])]
    first = default_candidate(encoders, product=product)
    return [first, *(made for made in every if made != first)] if not methods or first.method in methods else every


def default_candidate(encoders: Mapping[str, Encoder], *, product: str | None = None) -> Candidate:
    """What `blemish inspect` would take, on the first encoder."""
    name, encoder = next(iter(encoders.items()))
    method = default_method(encoder, good=True)
    return Candidate(method, name, _words(catalog.card(method), product))


def check_methods(methods: Collection[str]) -> None:
    """Raise BadInput for one that is trained or compares pictures, and UnknownName for one that does not exist."""
    for name in methods:
        if not _is_free(card := catalog.card(name)):
            raise BadInput(f"{name} learns from {card.learns_from} and cannot be tried at once: leave it out")


def _passes(candidate: Candidate, encoder: Encoder, size: tuple[int, int]) -> float:
    """About how often the encoder's own side is seen of a picture of that size."""
    view, side = candidate.view, candidate.arguments.get("image_size") or _usual_side(candidate, encoder)
    one = (side / encoder.image_size) ** 2
    if view.tile:
        return one * (_count(size, view.tile) + 3 * bool(view.balance))
    return one * (max(size) / min(size) if view.keep_aspect else 1)


def _place(method: str) -> int:
    """Where it comes among the others."""
    return ORDER.index(method) if method in ORDER else len(ORDER)


def _is_free(card: Card) -> bool:
    return card.task == "detect" and not card.trained and card.scores == "one"


def _methods(encoder: Encoder) -> dict[str, Card]:
    """Those that need no training, judge a picture alone, and can use the encoder."""
    return {name: card for name, card in catalog.METHODS.items() if _is_free(card) and card.needs <= encoder.can}


def _words(card: Card, product: str | None) -> dict[str, Any]:
    return {"product": product} if product and "product" in card.words else {}


def _views(candidate: Candidate, encoder: Encoder, size: tuple[int, int]) -> Iterator[Candidate]:
    """Whole at the encoder's own side, in its shape if it is long, larger where pictures are, in tiles, and both."""
    own, shorter = encoder.image_size, min(size)
    yield _at(candidate, encoder, own)
    if shorter >= LARGER * own:
        yield _at(candidate, encoder, 2 * own)
    if max(size) >= LONG * shorter:
        yield _at(candidate, encoder, own)._replace(view=View(keep_aspect=True))
    for balance in (None, 1.0):
        for tile in tile_sides(size):
            yield _at(candidate, encoder, own)._replace(view=View(tile=tile, overlap=tile // 4, balance=balance))


def tile_sides(size: tuple[int, int]) -> list[int]:
    """Sides of tiles worth trying for pictures of (height, width): the shorter side of long ones, shares of it."""
    shorter, longer = sorted(size)
    sides = [shorter] if longer >= LONG * shorter else []
    sides += [-(-shorter // parts) for parts in (2, 3)]
    return [side for side in sides if side >= LEAST_TILE and _count(size, side) <= MOST_TILES]


def _count(size: Sequence[int], side: int) -> int:
    step = side - side // 4
    down, across = (1 + max(0, -(-(length - side) // step)) for length in size)
    return down * across


def _usual_side(candidate: Candidate, encoder: Encoder) -> int:
    """That of the method, or of the encoder."""
    default: int | None = signature(catalog.method(candidate.method)).parameters["image_size"].default
    return default or encoder.image_size


def _at(candidate: Candidate, encoder: Encoder, side: int) -> Candidate:
    """At a side, which is named where the method would take another."""
    usual = _usual_side(candidate, encoder)
    return candidate if side == usual else candidate._replace(arguments={**candidate.arguments, "image_size": side})
