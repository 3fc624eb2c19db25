"""Many pictures: which ones, decoded by several threads in order, and gathered into batches."""

from __future__ import annotations

import glob
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from blemish.errors import BadImage, BadInput
from blemish.images.reading import SUFFIXES

T = TypeVar("T")
K = TypeVar("K")


def find(paths: Iterable[str | Path]) -> list[Path]:
    """Pictures in the order named, each once: files as they are, folders and globs as the sorted pictures they hold.

    A folder is searched to any depth for names that end like a picture's; hidden files and folders are skipped.
    A name, a folder or a glob that leads to no picture is a BadImage.
    """
    return list(dict.fromkeys(picture for path in paths for picture in _expanded(path)))


def _expanded(path: str | Path) -> list[Path]:
    if os.path.isdir(path):
        return _inside(Path(path))
    if os.path.exists(path):
        return [Path(path)]
    if not glob.has_magic(str(path)):
        raise BadImage(f"{path} does not exist: check the name and the folder it is in")
    matches = sorted(Path(match) for match in glob.glob(str(path), recursive=True))
    pictures = [match for match in matches if match.is_file() and _is_picture(match.name)]
    if not pictures:
        raise BadImage(f"{path} matches no picture ({', '.join(SUFFIXES)}): check the pattern")
    return pictures


def _inside(folder: Path) -> list[Path]:
    pictures = []
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        pictures += [Path(root, name) for name in names if _is_picture(name)]
    if not pictures:
        raise BadImage(f"{folder} holds no picture ({', '.join(SUFFIXES)}): check the folder, or name the files")
    return sorted(pictures)


def _is_picture(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def decode(
    paths: Iterable[Path], function: Callable[[Path], T], *, threads: int | None = None, ahead: int | None = None
) -> Iterator[tuple[Path, T | BadImage]]:
    """Each path with `function` of it, in order, computed in `threads` up to `ahead` results before they are asked for.

    A BadImage is yielded in place of the result; any other error is raised. Left out, there is a thread for each core
    this process may use, and two results ahead for each. Paths are taken one by one, so they may be endless; closing
    the iterator waits for what is being computed and starts nothing more.
    """
    workers = threads if threads is not None else _cores()
    waiting = ahead if ahead is not None else 2 * workers
    if workers < 1 or waiting < 1:
        raise BadInput(f"threads={workers} and ahead={waiting}: both must be at least 1")
    return _decode(iter(paths), function, workers, waiting)


def _decode(
    paths: Iterator[Path], function: Callable[[Path], T], workers: int, waiting: int
) -> Iterator[tuple[Path, T | BadImage]]:
    pool = ThreadPoolExecutor(workers, thread_name_prefix="blemish-decode")
    pending: deque[tuple[Path, Future[T | BadImage]]] = deque()
    try:
        pending.extend((path, pool.submit(_caught, function, path)) for path in islice(paths, waiting))
        while pending:
            path, future = pending.popleft()
            result = future.result()
            pending.extend((following, pool.submit(_caught, function, following)) for following in islice(paths, 1))
            yield path, result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _caught(function: Callable[[Path], T], path: Path) -> T | BadImage:
    try:
        return function(path)
    except BadImage as error:
        return error


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def batches(images: Iterable[Tensor], size: int) -> Iterator[Tensor]:
    """Consecutive (3, H, W) of one shape as (N, 3, H, W) with N at most `size`; order is kept."""
    return (batch for _, batch in keyed_batches(((None, image) for image in images), size))


def keyed_batches(items: Iterable[tuple[K, Tensor]], size: int) -> Iterator[tuple[list[K], Tensor]]:
    """Like `batches`, with what came along with each picture."""
    if size < 1:
        raise BadInput(f"batches of {size} pictures: the size must be at least 1")
    return _keyed_batches(items, size)


def _keyed_batches(items: Iterable[tuple[K, Tensor]], size: int) -> Iterator[tuple[list[K], Tensor]]:
    keys: list[K] = []
    images: list[Tensor] = []
    for key, image in items:
        if images and image.shape != images[0].shape:
            yield keys, torch.stack(images)
            keys, images = [], []
        keys.append(key)
        images.append(image)
        if len(images) == size:
            yield keys, torch.stack(images)
            keys, images = [], []
    if images:
        yield keys, torch.stack(images)
