"""Pictures through a detector, as a stream: one result a picture, in order, at the picture's own size."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish.encoders.inputs import device_of
from blemish.errors import BadImage
from blemish.images.framing import Region, crop, frame, input_size, matching_regions, place, visible
from blemish.images.seen_places import Places, WorstPlaces, places_of
from blemish.images.streams import Source, decode, keyed_batches, read_source, source_of
from blemish.images.tiling import Mosaic, cut, tiles
from blemish.types import Detector, Follower, Geometry, Prediction

T = TypeVar("T")
LONGEST = 16
"""How many times as long as wide a picture may be for a detector that keeps its shape, tiles apart."""


@dataclass(frozen=True, slots=True)
class View:
    """What part of each picture is inspected, and how finely."""

    region: Region | None = None
    mask: Tensor | None = None  # bool (H, W) of the whole picture, True where to inspect
    tile: int | None = None  # side of square tiles in pixels of the picture; None: the whole region at once
    overlap: int = 0  # pixels that neighbouring tiles share at least
    white: float | None = None  # the sample value of full brightness, see `blemish.images.read`


WHOLE = View()


class Inspected(NamedTuple):
    """A picture's prediction."""

    source: Source
    picture: Tensor  # (3, H, W), uint8 or float32 in [0, 1]
    score: float  # raw, higher is more anomalous; of tiles, the highest
    anomaly_map: Tensor  # float32 (H, W); NaN where nothing was inspected
    read_seconds: float  # reading and resizing, in a thread of its own
    seconds: float  # in the detector
    type_scores: Tensor | None = None  # (K,), of tiles the highest of each; the detector's `types` names them
    type_map: Tensor | None = None  # int16 (H, W), number of the type of each pixel, -1 for none
    places: tuple[Places, ...] = ()  # what a classifier sees: of tiles, of those of the highest scores


class Unreadable(NamedTuple):
    """A picture that could not be inspected, and why."""

    id: str  # as of its `Source`
    reason: str


class Prepared(NamedTuple):
    """A picture and what the detector is to see of it: one input (3, h, w) a tile."""

    picture: Tensor
    boxes: list[Region]  # the tiles, in pixels of the region
    inputs: Iterable[Tensor]
    seconds: float


def prepare(picture: Path | Source, geometry: Geometry, view: View = WHOLE) -> Prepared:
    """Read, cut out and resize one picture; raises BadImage."""
    start, source = time.perf_counter(), source_of(picture)
    whole, part = read_part(source, view)
    height, width = part.shape[-2:]
    if view.tile is None:
        _refuse_long(source.id, geometry, height, width)
        inputs = [frame(part, geometry)]
        return Prepared(whole, [Region(0, 0, width, height)], inputs, time.perf_counter() - start)
    boxes = tiles(height, width, view.tile, view.overlap)
    square = replace(geometry, side=geometry.crop or geometry.side, crop=None, pad=False)  # a tile is seen whole
    pieces = (frame(piece, square) for piece in cut(part, boxes, view.tile))  # each when it is asked for
    return Prepared(whole, boxes, pieces, time.perf_counter() - start)


def read_part(source: Source, view: View) -> tuple[Tensor, Tensor]:
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
    pictures: Iterable[Path | Source],
    geometry: Geometry,
    *,
    view: View = WHOLE,
    advance: Callable[[], None] | None = None,
) -> Iterator[tuple[Source, Prepared | Unreadable]]:
    """Every picture prepared for a detector, as `read_each`."""
    return read_each(pictures, partial(prepare, geometry=geometry, view=view), advance=advance)


def read_each(
    pictures: Iterable[Path | Source], function: Callable[[Source], T], *, advance: Callable[[], None] | None = None
) -> Iterator[tuple[Source, T | Unreadable]]:
    """What a function makes of every picture, ahead and in threads, or why it cannot be read: the one reading loop.

    `advance` is called as each is handed on.
    """
    for source, found in decode(map(source_of, pictures), function):
        if advance:
            advance()
        yield source, Unreadable(source.id, str(found)) if isinstance(found, BadImage) else found


def follows(detector: Detector) -> bool:
    """Whether it is to remember what it scores, which makes order matter."""
    return isinstance(detector, Follower) and detector.online


def predict(detector: Detector, images: Tensor, *, follow: bool = False) -> Prediction:
    """Of images anywhere, made where the detector is and brought back."""
    look = cast(Follower, detector).follow if follow else detector
    with torch.inference_mode():
        found = look(images.to(device_of(detector)))
    return Prediction._make(each if each is None else each.cpu() for each in found)


def inspect(
    detector: Detector, pictures: Iterable[Path | Source], *, view: View = WHOLE, batch_size: int = 8
) -> Iterator[Inspected | Unreadable]:
    """One result a picture, in their order; memory does not depend on how many there are.

    Decoding runs ahead in threads. Inputs of one size are batched across pictures and tiles, but for a detector that
    follows a stream, which sees one at a time.
    """
    follow = follows(detector)
    waiting: deque[_Open | Unreadable] = deque()

    def inputs() -> Iterator[tuple[_Open, Tensor]]:
        for source, found in stream(pictures, detector.geometry, view=view):
            if isinstance(found, Unreadable):
                waiting.append(found)
                continue
            opened = _Open(source, found, view, detector.geometry)
            waiting.append(opened)
            yield from ((opened, image) for image in found.inputs)

    for owners, images in keyed_batches(inputs(), 1 if follow else batch_size):
        start = time.perf_counter()
        found = predict(detector, images, follow=follow)
        seconds = (time.perf_counter() - start) / len(owners)
        for number, owner in enumerate(owners):
            owner.add(Prediction._make(each if each is None else each[number] for each in found), seconds)
        while waiting and (isinstance(waiting[0], Unreadable) or not waiting[0].left):
            yield _closed(waiting.popleft())
    yield from map(_closed, waiting)


class _Open:
    """A picture some of whose tiles may still be on their way."""

    def __init__(self, source: Source, prepared: Prepared, view: View, geometry: Geometry) -> None:
        self.source, self.prepared, self.view, self.geometry = source, prepared, view, geometry
        last = prepared.boxes[-1]
        self.part = last.y + last.height, last.x + last.width
        self.mosaic = Mosaic(self.part) if view.tile is not None else None
        self.score, self.seconds, self.left = -torch.inf, 0.0, len(prepared.boxes)
        self.type_scores: Tensor | None = None
        self.places: WorstPlaces | None = None

    def add(self, found: Prediction, seconds: float) -> None:
        """What was found in the next tile."""
        score = float(found.image_score)
        self.score = score if score != score else max(self.score, score)
        self.seconds += seconds
        if found.type_scores is not None:
            before = self.type_scores
            self.type_scores = found.type_scores if before is None else torch.maximum(before, found.type_scores)
        if self.mosaic is None:
            self.maps = found.anomaly_map, found.type_map
        else:
            side, box = (self.view.tile or 0, self.view.tile or 0), self.prepared.boxes[-self.left]
            scores = F.interpolate(found.anomaly_map[None, None].float(), side, mode="bilinear")[0, 0]
            self.mosaic.add(scores, box, None if found.type_map is None else _numbers(found.type_map, side))
        if found.places is not None:
            self._keep(score, found.places)
        self.left -= 1

    def _keep(self, score: float, grid: Tensor) -> None:
        """What a classifier sees of the tile."""
        self.places, (x, y) = self.places or WorstPlaces(), self.corner
        if self.mosaic is None:
            self.places.add(score, places_of(grid, self.geometry, self.part, self.corner))
        else:
            box = self.prepared.boxes[-self.left]
            self.places.add(score, Places(box._replace(x=box.x + x, y=box.y + y), grid))

    @property
    def corner(self) -> tuple[int, int]:
        """Where in the picture its part begins: x, y."""
        return (self.view.region.x, self.view.region.y) if self.view.region else (0, 0)

    def place(self) -> tuple[Tensor, Tensor | None]:
        """The map of the whole picture, and that of types if there is one."""
        height, width = self.prepared.picture.shape[-2:]
        scores, kinds, target = self._joined()
        whole = place(scores, (height, width), region=target, mask=self.view.mask)
        if kinds is None:
            return whole, None
        types = torch.full((height, width), -1, dtype=torch.int16)
        crop(types, target).copy_(_numbers(kinds, (target.height, target.width)))
        return whole, types.masked_fill_(whole.isnan(), -1)

    def _joined(self) -> tuple[Tensor, Tensor | None, Region]:
        """One map, of types too if there are any, and where in the picture it lies."""
        height, width = self.part
        x, y = self.corner
        if self.mosaic is not None:
            return *self.mosaic.joined(), Region(x, y, width, height)
        (scores, kinds), (inside, shown) = self.maps, matching_regions(self.geometry, height, width)
        if self.geometry.pad:
            scores, kinds = crop(scores, inside), None if kinds is None else crop(kinds, inside)
        return scores, kinds, shown._replace(x=shown.x + x, y=shown.y + y)


def _numbers(kinds: Tensor, size: tuple[int, int]) -> Tensor:
    """A map of types (h, w) at another size: int16, each pixel that of the nearest."""
    if kinds.shape == size:
        return kinds.to(torch.int16)
    nearest = F.interpolate(kinds[None, None].float(), size, mode="nearest-exact")
    return nearest[0, 0].to(torch.int16)


def _closed(entry: _Open | Unreadable) -> Inspected | Unreadable:
    if isinstance(entry, Unreadable):
        return entry
    anomaly_map, types = entry.place()
    return Inspected(
        entry.source, entry.prepared.picture, entry.score, anomaly_map,
        entry.prepared.seconds, entry.seconds, entry.type_scores, types,
        entry.places.ordered() if entry.places else (),
    )  # fmt: skip
