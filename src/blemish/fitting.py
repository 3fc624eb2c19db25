"""Learning from good parts: the one way in which a detector, by name or by itself, comes to know them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar, cast

import torch

from blemish import catalog
from blemish.blocks.rotation import views_of
from blemish.blocks.rows import Absorbing, Rows, concatenate, memories
from blemish.encoders.embedded.network import Embedded
from blemish.encoders.inputs import as_tensor, device_of
from blemish.errors import BadInput
from blemish.files import sha256_of
from blemish.images import WHOLE, Inspected, Unreadable, View, keep_readable, keyed_batches
from blemish.inspection import inspect, stream
from blemish.progress import ShowProgress, no_progress
from blemish.types import Batch, Comparer, Consolidator, Detector, Encoder, Geometry, Learner

L = TypeVar("L", bound=Learner)
R = TypeVar("R")
K = TypeVar("K")
MOST_BALANCED = 32
"""Good parts by which scales are balanced; more change little."""


def good_parts(
    paths: Iterable[Path],
    geometry: Geometry,
    *,
    view: View = WHOLE,
    batch_size: int = 8,
    unreadable: list[Unreadable] | None = None,
    advance: Callable[[], None] | None = None,
    accept: Callable[[Path, str], bool] | None = None,
) -> Iterator[Batch]:
    """Batches to learn from, named by their paths; files that are equal byte for byte are read as one.

    What cannot be read is added to `unreadable`, or raised without it. `accept` is asked about each of the others, by
    its path and sha256, and `advance` called after every path.
    """
    digests: set[str] = set()

    def is_new(path: Path) -> bool:
        found, before = sha256_of(path), len(digests)
        digests.add(found)
        return len(digests) > before and (accept is None or accept(path, found))

    pictures = keep_readable(stream(paths, geometry, view=view, advance=advance), unreadable)
    inputs = ((source.id, image) for source, found in pictures if is_new(Path(source.id)) for image in found.inputs)
    return (Batch(as_tensor(images), names=tuple(names)) for names, images in keyed_batches(inputs, batch_size))


def remember(detector: L, batches: Iterable[Batch]) -> L:
    """The detector, which has learned from batches of good parts and forgotten what it knew; they are read once.

    Memories that predict by sums take constant room meanwhile, see `blocks.rows.Absorbing`.
    """
    parts = memories(detector)
    for memory in parts:
        memory.forget()
    lots: list[list[Rows]] = [[] for _ in parts]
    for _, groups in extract_all(detector, batches):
        for memory, lot, rows in zip(parts, lots, groups, strict=True):
            lot.append(rows)
            if isinstance(memory, Absorbing):
                rows = concatenate(lot)
                done = memory.absorb(*rows)
                lot[:] = [tuple(tensor[done:] for tensor in rows)]
    for memory, lot in zip(parts, lots, strict=True) if all(lots) else ():
        rows = concatenate(lot)
        kept = detector.consolidate(rows[0]) if isinstance(detector, Consolidator) else slice(None)
        memory.hold(*(tensor[kept] for tensor in rows))
    if not all(memory.fitted for memory in parts):
        raise BadInput("there is nothing to learn from: no image of a good part was given")
    return detector


def extract_all(learner: Learner, batches: Iterable[Batch]) -> Iterator[tuple[Batch, tuple[Rows, ...]]]:
    """Each batch and what a learner extracts of it; a learner without memory first decides about views of images.

    For that as many images are held back as may be seen in other views; tiles count as images.
    """
    waiting, held, views = iter(batches), list[Batch](), views_of(learner)
    if views and not any(memory.fitted for memory in memories(learner)):
        while sum(map(len, held)) <= max(each.few for each in views) and (batch := next(waiting, None)):
            held.append(batch)
        for each in views:
            each.count_images(sum(map(len, held)))
    for batch in chain(held, waiting):
        there = batch.to(device_of(learner))
        with torch.no_grad():
            rows = learner.extract(there)
        yield there, rows


def default_method(encoder: Encoder, *, good: bool) -> str:
    """The method for what there is: TAB on a model that was trained for it; else good parts, or words alone."""
    if isinstance(encoder, Embedded):
        return "tab"
    return "anomaly-dino" if good else "winclip"


def choose_set(detector: Comparer, pictures: Sequence[Path]) -> list[Path]:
    """What the pictures to be inspected are compared with: themselves, or as many of them as are remembered.

    Of more those of the lowest sha256, in that order, so the set is the same in whatever order they come; files that
    are equal byte for byte count once.
    """
    lowest = dict(sorted({sha256_of(path): path for path in reversed(pictures)}.items()))
    if len(lowest) < 2:
        raise BadInput(
            f"{'there is no picture' if not lowest else f'{pictures[0]} is alone'}, and this method compares pictures "
            "with each other: give more of the same product, or good parts to compare with"
        )
    return list(lowest.values())[: max(2, detector.pictures)]


def require_method(method: str, arguments: Mapping[str, Any], *, good: bool, frozen: bool = False) -> None:
    """Raise what needs no encoder to be refused: a method that is trained, lacks `good` parts, or those arguments."""
    require_learner(method)
    if not good:
        require_good(method, frozen=frozen)
    catalog.require_arguments(method, arguments)


def require_good(method: str, *, frozen: bool = False) -> None:
    """Raise BadInput for a method that is of no use without good parts; frozen, there is no set to compare with."""
    card = catalog.card(method)
    if card.normal == "required":
        raise BadInput(f"{method} learns from good parts: give it some, or choose a method that needs none (winclip)")
    if frozen and card.scores == "set":
        raise BadInput(f"{method} compares pictures, and a recipe holds those to compare with: give it some good parts")


def require_learner(method: str) -> None:
    """Raise BadInput for a method that is trained by gradients, which learns in another way."""
    if catalog.card(method).trained:
        raise BadInput(
            f"{method} is trained first: `blemish train {method} DATA --out line.blemish`, and then used by "
            "--recipe line.blemish"
        )


def make_detector(
    method: str,
    encoder: str | Encoder,
    *,
    product: str = "object",
    good: bool,
    arguments: Mapping[str, Any] | None = None,
) -> Detector:
    """A detector by name that knows no part yet; raises BadInput where it needs `good` ones and there are none."""
    require_method(method, arguments or {}, good=good)
    card = catalog.card(method)
    words = {"product": product} if "product" in card.words else {}
    return catalog.detector(method, encoder, words | dict(arguments or {}))


def fit_detector(
    method: str,
    encoder: str | Encoder,
    *,
    product: str = "object",
    good: Sequence[Path] = (),
    pictures: Sequence[Path] = (),
    arguments: Mapping[str, Any] | None = None,
    view: View = WHOLE,
    batch_size: int = 8,
    watch: ShowProgress = no_progress,
    unreadable: list[Unreadable] | None = None,
) -> Detector:
    """A detector by name, fitted to pictures of good parts when there are any; raises BadInput when it needs them.

    `pictures` are those to be inspected: a method that scores a set compares them with each other if none is good.
    """
    detector = make_detector(method, encoder, product=product, good=bool(good), arguments=arguments)
    stage = "learning from good parts"
    if not good and catalog.card(method).scores == "set":
        stage, good = "looking at the whole set", choose_set(cast(Comparer, detector), pictures)
        unreadable = []  # what cannot be read is told of when it is inspected
    if good:
        advance = watch(stage, len(good))
        batches = good_parts(
            good, detector.geometry, view=view, batch_size=batch_size, unreadable=unreadable, advance=advance
        )
        remember(cast(Learner, detector), batches)
    return detector


def balance_scales(
    method: str,
    encoder: str | Encoder,
    good: Sequence[Path],
    view: View,
    *,
    product: str = "object",
    arguments: Mapping[str, Any] | None = None,
    batch_size: int = 8,
    watch: ShowProgress = no_progress,
) -> View:
    """The view with the balance of whole and tiles that good parts have which were not learned.

    Each half of the parts is scored by a detector that learned the other half, at both scales: the mean score of wholes
    over that of tiles. It stays as it is where tiles are seen alone, of fewer than two parts, and where scores are not
    above 0.
    """
    parts = good[:: -(-len(good) // MOST_BALANCED)] if good else []
    if view.balance is None or len(parts) < 2:
        return view
    advance, totals = watch("balancing scales", 2 * len(parts)), [0.0, 0.0]
    for learned, held in ((parts[::2], parts[1::2]), (parts[1::2], parts[::2])):
        detector = fit_detector(
            method, encoder, product=product, good=learned, arguments=arguments, view=view, batch_size=batch_size,
            unreadable=[],
        )  # fmt: skip
        for scale, seen in enumerate((replace(view, tile=None, overlap=0, balance=None), replace(view, balance=None))):
            for found in inspect(detector, held, view=seen, batch_size=batch_size):
                advance()
                totals[scale] += found.score if isinstance(found, Inspected) else 0
    return replace(view, balance=totals[0] / totals[1]) if min(totals) > 0 else view
