"""From the name of a method to a detector that has seen its good parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from torch import Tensor

from blemish import catalog
from blemish.encoders.embedded.network import Embedded
from blemish.errors import BadInput
from blemish.images import keyed_batches
from blemish.inspection import WHOLE, Unreadable, View, keep_readable, stream
from blemish.types import Detector, Encoder, Geometry, Learner

Watch = Callable[[str, int], Callable[[], None]]
"""watch(stage, total) -> a function to call after each picture of that stage."""


def unwatched(stage: str, total: int) -> Callable[[], None]:
    """Show nothing."""
    return lambda: None


def good_parts(
    paths: Iterable[Path],
    geometry: Geometry,
    *,
    view: View = WHOLE,
    batch_size: int = 8,
    unreadable: list[Unreadable] | None = None,
) -> Iterator[Tensor]:
    """Batches (N, 3, h, w) for `fit`; what cannot be read is added to `unreadable`, or raised without it."""

    pictures = keep_readable(stream(paths, geometry, view=view), unreadable)
    inputs = ((None, image) for _, found in pictures for image in found.inputs)
    return (batch for _, batch in keyed_batches(inputs, batch_size))


def default_method(encoder: Encoder, *, good: bool) -> str:
    """The method for what there is: TAB on a model that was trained for it; else good parts, or words alone."""
    if isinstance(encoder, Embedded):
        return "tab"
    return "anomaly-dino" if good else "winclip"


def fit_detector(
    method: str,
    encoder: str | Encoder,
    *,
    product: str = "object",
    good: Sequence[Path] = (),
    arguments: Mapping[str, Any] | None = None,
    view: View = WHOLE,
    batch_size: int = 8,
    watch: Watch = unwatched,
    unreadable: list[Unreadable] | None = None,
) -> Detector:
    """A detector by name, fitted to pictures of good parts when there are any; raises BadInput when it needs them."""
    card = catalog.card(method)
    words = {"product": product} if "product" in card.words else {}
    detector = catalog.detector(method, encoder, words | dict(arguments or {}))
    if not good and card.normal == "required":
        raise BadInput(f"{method} learns from good parts: give it some, or choose a method that needs none (winclip)")
    if good:
        advance = watch("learning from good parts", len(good))
        batches = good_parts(good, detector.geometry, view=view, batch_size=batch_size, unreadable=unreadable)
        cast(Learner, detector).fit(_watched(batches, advance))
    return detector


def _watched(batches: Iterable[Tensor], advance: Callable[[], None]) -> Iterator[Tensor]:
    for batch in batches:
        yield batch
        for _ in batch:
            advance()
