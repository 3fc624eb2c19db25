"""Pictures on disk through a detector, as a stream: one result a picture, in order, at the picture's own size."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish.errors import BadImage
from blemish.images import Region, blend, cut, decode, keyed_batches, place, read, resize, tiles, visible
from blemish.types import Detector, Geometry


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

    path: Path
    picture: Tensor  # (3, H, W), uint8 or float32 in [0, 1]
    score: float  # raw, higher is more anomalous; of tiles, the highest
    anomaly_map: Tensor  # float32 (H, W); NaN where nothing was inspected
    read_seconds: float  # reading and resizing, in a thread of its own
    seconds: float  # in the detector


class Unreadable(NamedTuple):
    """A picture that could not be inspected, and why."""

    path: Path
    reason: str


class Prepared(NamedTuple):
    """A picture and what the detector is to see of it: one input (3, h, w) a tile."""

    picture: Tensor
    boxes: list[Region]  # the tiles, in pixels of the region
    inputs: Iterable[Tensor]
    seconds: float


def prepare(path: Path, geometry: Geometry, view: View = WHOLE) -> Prepared:
    """Read, cut out and resize one picture; raises BadImage."""
    start = time.perf_counter()
    picture = read(path, white=view.white)
    part = visible(path, picture, region=view.region, mask=view.mask)
    height, width = part.shape[-2:]
    if view.tile is None:
        inputs = [resize(part, geometry.size(height, width))]
        return Prepared(picture, [Region(0, 0, width, height)], inputs, time.perf_counter() - start)
    boxes, size = tiles(height, width, view.tile, view.overlap), geometry.size(view.tile, view.tile)
    pieces = (resize(piece, size) for piece in cut(part, boxes, view.tile))  # each when it is asked for
    return Prepared(picture, boxes, pieces, time.perf_counter() - start)


def inspect(
    detector: Detector, paths: Iterable[Path], *, view: View = WHOLE, batch_size: int = 8
) -> Iterator[Inspected | Unreadable]:
    """One result a path, in their order; memory does not depend on how many there are.

    Decoding runs ahead in threads. Inputs of one size are batched across pictures and tiles.
    """
    waiting: deque[_Open | Unreadable] = deque()

    def inputs() -> Iterator[tuple[_Open, Tensor]]:
        for path, found in decode(paths, lambda path: prepare(path, detector.geometry, view)):
            if isinstance(found, BadImage):
                waiting.append(Unreadable(path, str(found)))
                continue
            opened = _Open(path, found, view)
            waiting.append(opened)
            yield from ((opened, image) for image in found.inputs)

    for owners, images in keyed_batches(inputs(), batch_size):
        start = time.perf_counter()
        with torch.inference_mode():
            found = detector(images)
        seconds = (time.perf_counter() - start) / len(owners)
        for owner, score, anomaly_map in zip(owners, found.image_score.tolist(), found.anomaly_map, strict=True):
            owner.add(score, anomaly_map, seconds)
        while waiting and (isinstance(waiting[0], Unreadable) or waiting[0].complete):
            yield _closed(waiting.popleft())
    yield from map(_closed, waiting)


@dataclass
class _Open:
    """A picture some of whose tiles may still be on their way."""

    path: Path
    prepared: Prepared
    view: View
    scores: list[float] = field(default_factory=list)
    maps: list[Tensor] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        return len(self.scores) == len(self.prepared.boxes)

    def add(self, score: float, anomaly_map: Tensor, seconds: float) -> None:
        self.scores.append(score)
        self.maps.append(anomaly_map)
        self.seconds += seconds


def _closed(entry: _Open | Unreadable) -> Inspected | Unreadable:
    """One map of the whole picture from the maps of its tiles."""
    if isinstance(entry, Unreadable):
        return entry
    picture, boxes, _, read_seconds = entry.prepared
    height, width = picture.shape[-2:]
    joined, tile = entry.maps[0], entry.view.tile
    if tile is not None:
        at_size = (F.interpolate(m[None, None], (tile, tile), mode="bilinear")[0, 0] for m in entry.maps)
        joined = blend(at_size, boxes, (boxes[-1].y + boxes[-1].height, boxes[-1].x + boxes[-1].width))
    anomaly_map = place(joined, (height, width), region=entry.view.region, mask=entry.view.mask)
    return Inspected(entry.path, picture, max(entry.scores), anomaly_map, read_seconds, entry.seconds)
