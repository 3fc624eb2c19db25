"""What can be chosen from: training-free methods, on the encoders at hand, in several views of a part."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from blemish import catalog
from blemish.catalog.cards import Card
from blemish.errors import BadInput
from blemish.fitting import default_method
from blemish.images import WHOLE, View
from blemish.runs.views import LARGER, LONGISH, Sight, aspect_of, takes_side, tile_sides, usual_side, view_in_words
from blemish.types import Encoder

VARIANTS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "tab": ({}, {"metric": "cosine"}, {"trust": 1.0}, {"trust": 0.0})
}
"""Arguments of a method that are worth trying: how distances are measured, and how far words are trusted."""
ORDER = ("tab", "patchcore", "subspace-ad", "padim", "rad", "winclip", "anomaly-dino")
"""From quick to slow; methods that are not named here come last."""


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
        return view_in_words(self.view, self.arguments.get("image_size"))


def candidates(
    encoders: Mapping[str, Encoder],
    size: tuple[int, int],
    *,
    product: str | None = None,
    methods: Collection[str] = (),
    view: View = WHOLE,
) -> list[Candidate]:
    """All of them for parts of about a size (height, width), the default of the first encoder first.

    methods: those to choose from, also one's own, "module:Class"; where there are none, all that need no training.
    What is usually quick comes before what is slow, so that little time is not spent on one of them, and at last the
    variants of a method. view: the region, mask and white of all of them.
    """
    found = [
        ((number > 0, _passes(made, encoder, size), _place(method)), made)
        for name, encoder in encoders.items()
        for method, card in _methods(encoder, methods).items()
        for number, variant in enumerate(VARIANTS.get(method, ({},)))
        for made in _views(Candidate(method, name, _words(card, product) | dict(variant), view), encoder, size)
    ]
    every = [made for _, made in sorted(found, key=lambda each: each[0])]
    first = default_candidate(encoders, size, product=product, view=view)
    return [first, *(made for made in every if made != first)] if not methods or first.method in methods else every


def default_candidate(
    encoders: Mapping[str, Encoder], size: tuple[int, int], *, product: str | None = None, view: View = WHOLE
) -> Candidate:
    """What `blemish inspect` would take for parts of that size, on the first encoder."""
    name, encoder = next(iter(encoders.items()))
    method = default_method(encoder, good=True)
    return Candidate(method, name, _words(catalog.card(method), product), replace(view, aspect=aspect_of(size)))


def check_methods(methods: Collection[str]) -> None:
    """Raise BadInput for one that is trained or compares pictures, and UnknownName for one that does not exist."""
    for name in methods:
        if not _is_free(card := catalog.card(name)):
            raise BadInput(f"{name} learns from {card.learns_from} and cannot be tried at once: leave it out")


def _passes(candidate: Candidate, encoder: Encoder, size: tuple[int, int]) -> float:
    """About how much is computed for a picture of that size; balancing two scales learns parts twice more."""
    side = candidate.arguments.get("image_size") or usual_side(candidate.method, encoder)
    return Sight(candidate.view, side).passes(size, encoder.image_size) + 2 * bool(candidate.view.balance)


def _place(method: str) -> int:
    """Where it comes among the others."""
    return ORDER.index(method) if method in ORDER else len(ORDER)


def _is_free(card: Card) -> bool:
    return card.task == "detect" and not (card.trained or card.grade) and card.scores == "one"


def _methods(encoder: Encoder, asked: Collection[str]) -> dict[str, Card]:
    """Those that are asked for, or all: that need no training, judge a picture alone, and can use the encoder."""
    known = {name: catalog.card(name) for name in asked or catalog.METHODS}
    return {name: card for name, card in known.items() if _is_free(card) and card.needs <= encoder.can}


def _words(card: Card, product: str | None) -> dict[str, Any]:
    return {"product": product} if product and "product" in card.words else {}


def _views(candidate: Candidate, encoder: Encoder, size: tuple[int, int]) -> Iterator[Candidate]:
    """Whole at the encoder's own side, as a square and in the shape of the parts; larger where they are; in tiles."""
    own, view, aspect = encoder.image_size, candidate.view, aspect_of(size)
    longish = aspect_of(size, least=LONGISH)
    whole = _at(candidate, encoder, own)._replace(view=replace(view, aspect=aspect))
    yield whole
    if min(size) >= LARGER * own and takes_side(candidate.method):
        yield _at(candidate, encoder, 2 * own)._replace(view=whole.view)
    if longish:
        yield whole._replace(view=replace(view, aspect=None if aspect else longish))
    for balance in (None, 1.0):
        for tile in tile_sides(size):
            yield whole._replace(view=replace(view, tile=tile, overlap=tile // 4, balance=balance))


def _at(candidate: Candidate, encoder: Encoder, side: int) -> Candidate:
    """At a side, which is named where the method would take another."""
    if side == usual_side(candidate.method, encoder):
        return candidate
    return candidate._replace(arguments={**candidate.arguments, "image_size": side})
