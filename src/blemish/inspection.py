"""Pictures through a detector, as a stream: one result a picture, in order, at the picture's own size."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from numpy.typing import NDArray

from blemish.errors import BadImage
from blemish.images.framing import Region, frame, input_size, visible
from blemish.images.results import Begun, Inspected, Unreadable
from blemish.images.streams import Source, decode, keyed_batches, read_source, source_of
from blemish.images.tiling import cut, tiles
from blemish.images.view import WHOLE, View
from blemish.types import ArrayDetector, ArrayPrediction, Detector, Follower, Geometry

T = TypeVar("T")
_Pictures = Iterable[Path | Source]
LONGEST = 16
"""How many times as long as wide a picture may be for a detector that keeps its shape, tiles apart."""


class Prepared(NamedTuple):
    """A picture and what the detector is to see of it: one input (3, h, w) a box."""

    picture: NDArray[Any]
    boxes: list[Region]  # in pixels of the region: the whole of it if that is seen, and the tiles
    inputs: Iterable[NDArray[Any]]
    seconds: float


def prepare(picture: Path | Source, geometry: Geometry, view: View = WHOLE) -> Prepared:
    """Read, cut out and resize one picture; raises BadImage."""
    start, source, geometry = time.perf_counter(), source_of(picture), shape_in_view(geometry, view)
    whole, part = read_part(source, view)
    height, width = part.shape[-2:]
    if view.tile is None:
        _refuse_long(source.id, geometry, height, width)
        inputs = [frame(part, geometry)]
        return Prepared(whole, [Region(0, 0, width, height)], inputs, time.perf_counter() - start)
    boxes, seen = tiles(height, width, view.tile, view.overlap), list[NDArray[Any]]()
    square = replace(geometry, side=geometry.crop or geometry.side, crop=None, pad=False, aspect=1.0)  # seen whole
    pieces = (frame(piece, square) for piece in cut(part, boxes, view.tile))  # each when it is asked for
    if view.balance is not None:
        _refuse_long(source.id, geometry, height, width)
        boxes, seen = [Region(0, 0, width, height), *boxes], [frame(part, geometry)]
    return Prepared(whole, boxes, chain(seen, pieces), time.perf_counter() - start)


def shape_in_view(geometry: Geometry, view: View) -> Geometry:
    """How what is seen whole is resized."""
    fixed = geometry.crop is not None or geometry.pad or geometry.keep_aspect
    return geometry if fixed else replace(geometry, keep_aspect=view.keep_aspect, aspect=view.aspect or 1.0)


def read_part(source: Source, view: View) -> tuple[NDArray[Any], NDArray[Any]]:
    """The whole picture, and what is inspected of it; raises BadImage."""
    whole = read_source(source, white=view.white)
    return whole, visible(source.id, whole, region=view.region, mask=view.mask)


def _refuse_long(name: str, geometry: Geometry, height: int, width: int) -> None:
    if geometry.keep_aspect and max(height, width) > LONGEST * min(height, width):
        high, wide = input_size(geometry, height, width)
        raise BadImage(
            f"{name}: {width} x {height} keeps its shape in this method and would become {wide} x {high}: of pictures "
            f"more than {LONGEST} times as long as wide inspect tiles by --tile, or a part by --region"
        )


def stream(
    pictures: _Pictures, geometry: Geometry, *, view: View = WHOLE, advance: Callable[[], None] | None = None
) -> Iterator[tuple[Source, Prepared | Unreadable]]:
    """Every picture prepared for a detector, as `read_each`."""
    return read_each(pictures, partial(prepare, geometry=geometry, view=view), advance=advance)


def read_each(
    pictures: _Pictures, function: Callable[[Source], T], *, advance: Callable[[], None] | None = None
) -> Iterator[tuple[Source, T | Unreadable]]:
    """What a function makes of every picture, ahead and in threads, or why it cannot be read: the one reading loop.

    `advance` is called as each is handed on.
    """
    for source, found in decode(map(source_of, pictures), function):
        if advance:
            advance()
        yield source, Unreadable(source.id, str(found)) if isinstance(found, BadImage) else found


def follows(detector: Detector | ArrayDetector) -> bool:
    """Whether it is to remember what it scores, which makes order matter."""
    return isinstance(detector, Follower) and detector.online


def predict(detector: Detector | ArrayDetector, images: NDArray[Any], *, follow: bool = False) -> ArrayPrediction:
    """Of images (N, 3, H, W), by torch only where the detector needs it."""
    if isinstance(detector, ArrayDetector):
        return detector.predict_arrays(images)
    from blemish.encoders.inputs import predict_arrays

    return predict_arrays(detector, images, follow=follow)


def inspect(
    detector: Detector | ArrayDetector, pictures: _Pictures, *, view: View = WHOLE, batch_size: int = 8
) -> Iterator[Inspected | Unreadable]:
    """One result a picture, in their order; memory does not depend on how many there are.

    Decoding runs ahead in threads. Inputs of one size are batched across pictures and tiles, but for a detector that
    follows a stream, which sees one at a time.
    """
    follow, shape = follows(detector), shape_in_view(detector.geometry, view)
    waiting: deque[Begun | Unreadable] = deque()

    def inputs() -> Iterator[tuple[Begun, NDArray[Any]]]:
        for source, found in stream(pictures, detector.geometry, view=view):
            if isinstance(found, Unreadable):
                waiting.append(found)
                continue
            begun = Begun(source, found.picture, found.boxes, found.seconds, view, shape, len(found.boxes))
            waiting.append(begun)
            yield from ((begun, image) for image in found.inputs)

    for owners, images in keyed_batches(inputs(), 1 if follow else batch_size):
        start = time.perf_counter()
        found = predict(detector, images, follow=follow)
        seconds = (time.perf_counter() - start) / len(owners)
        for number, owner in enumerate(owners):
            owner.add(ArrayPrediction._make(each if each is None else each[number] for each in found), seconds)
        while waiting and (isinstance(waiting[0], Unreadable) or not waiting[0].left):
            yield _closed(waiting.popleft())
    yield from map(_closed, waiting)


def _closed(entry: Begun | Unreadable) -> Inspected | Unreadable:
    return entry if isinstance(entry, Unreadable) else entry.result()
