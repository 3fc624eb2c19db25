"""Many pictures, from files or memory, decoded by several threads in order and gathered into batches."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from blemish.errors import BadImage, BadInput
from blemish.images.arrays import rgb
from blemish.images.reading import read

if TYPE_CHECKING:
    from torch import Tensor

S = TypeVar("S")
T = TypeVar("T")
K = TypeVar("K")


class Source(NamedTuple):
    """A picture and what it is called in results."""

    content: Path | bytes | NDArray[Any] | Tensor | BadImage  # a file, its bytes, an array as of `rgb`, or why not
    id: str


def source_of(picture: str | Path | Source) -> Source:
    """A path is called what it was given as; raises BadInput for anything else."""
    if isinstance(picture, str | Path):
        return Source(Path(picture), str(picture))
    if not isinstance(picture, Source):
        raise BadInput(f"{picture!r} is no picture: give a path, or a Source of a file's bytes or an array")
    return picture


def read_source(source: Source, *, white: float | None = None) -> NDArray[Any]:
    """As `read`, of what lies in memory too."""
    if isinstance(source.content, Path):
        return read(source.content, white=white)
    if isinstance(source.content, bytes):
        return read(source.id, content=source.content, white=white)
    return rgb(source.content, source.id, white)


def decode(
    items: Iterable[S], function: Callable[[S], T], *, threads: int | None = None, ahead: int | None = None
) -> Iterator[tuple[S, T | BadImage]]:
    """Each item with `function` of it, in order, computed in `threads` up to `ahead` results before they are asked for.

    A BadImage is yielded in place of the result; any other error is raised. Left out, there is a thread for each core
    this process may use, and two results ahead for each; one item alone is computed without any. Items are taken one by
    one, so they may be endless; closing the iterator waits for what is being computed and starts nothing more.
    """
    workers = threads if threads is not None else cores()
    waiting = ahead if ahead is not None else 2 * workers
    if workers < 1 or waiting < 1:
        raise BadInput(f"threads={workers} and ahead={waiting}: both must be at least 1")
    return _decode(iter(items), function, workers, waiting)


def _decode(
    items: Iterator[S], function: Callable[[S], T], workers: int, waiting: int
) -> Iterator[tuple[S, T | BadImage]]:
    first = list(islice(items, waiting))
    if len(first) < min(2, waiting):  # nothing can be read ahead, and the way to a thread and back is long
        yield from ((item, _caught(function, item)) for item in first)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="blemish-decode")
    pending = deque((item, pool.submit(_caught, function, item)) for item in first)
    try:
        while pending:
            item, future = pending.popleft()
            result = future.result()
            pending.extend((following, pool.submit(_caught, function, following)) for following in islice(items, 1))
            yield item, result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _caught(function: Callable[[S], T], item: S) -> T | BadImage:
    try:
        return function(item)
    except BadImage as error:
        return error


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def keyed_batches(items: Iterable[tuple[K, NDArray[Any]]], size: int) -> Iterator[tuple[list[K], NDArray[Any]]]:
    """Consecutive (3, H, W) of one shape as (N, 3, H, W), N at most `size`, and what came along with each, in order."""
    if size < 1:
        raise BadInput(f"batches of {size} pictures: the size must be at least 1")
    return _keyed_batches(items, size)


def _keyed_batches(items: Iterable[tuple[K, NDArray[Any]]], size: int) -> Iterator[tuple[list[K], NDArray[Any]]]:
    for _, alike in groupby(items, key=lambda item: item[1].shape):
        while batch := list(islice(alike, size)):
            yield [key for key, _ in batch], np.stack([image for _, image in batch])
