"""Where the pictures of a store come from: drawn specimens, and photographs that are at hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from blemish.errors import BadImage, BadInput
from blemish.images import decode, find, read, unit
from blemish.pretrain.store import UNKNOWN, Entry
from blemish.synth.drawn.specimens import on_photograph, specimen

AHEAD = 64
"""Specimens that are drawn before they are asked for."""


def specimens(seed: int, first: int, side: int, *, workers: int = 2) -> Iterator[Sequence[Entry]]:
    """Drawn twins from number `first` on, without end, in their order whatever the number of processes."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        start = first
        while True:
            numbers = range(start, start + AHEAD)
            yield from pool.map(_twins, ((seed, number, side) for number in numbers), chunksize=8)
            start += AHEAD


def _twins(what: tuple[int, int, int]) -> list[Entry]:
    seed, number, side = what
    drawn = specimen(seed, number, side)
    nothing = np.zeros_like(drawn.mask)
    return [Entry(drawn.good, nothing, drawn.product), Entry(drawn.flawed, drawn.mask, drawn.product, drawn.family)]


def flawed_photographs(
    paths: Sequence[Path], products: Sequence[tuple[str, ...]], seed: int, side: int
) -> Iterator[Sequence[Entry]]:
    """Twins made of photographs of good parts: a drawn flaw on a random crop of each; unusable ones are left out."""
    nothing = np.zeros((side, side), bool)
    pictures = zip(products, decode(paths, _pixels), strict=True)
    for number, (product, (_, found)) in enumerate(pictures):
        if isinstance(found, BadImage):
            continue
        rng = np.random.default_rng((seed, number))
        good = np.ascontiguousarray(crop(found, rng, side))
        with suppress(BadInput):
            drawn = on_photograph(good, rng, product)
            yield [Entry(good, nothing, product), Entry(drawn.flawed, drawn.mask, product, drawn.family)]


def photographs(folders: Sequence[str], seed: int, side: int, *, each: int = 2) -> Iterator[Sequence[Entry]]:
    """Random crops of the pictures in these folders, `each` of one, in a random order; unreadable ones are left out."""
    paths = find(folders)
    shuffling = np.random.default_rng(seed)
    order = shuffling.permutation(len(paths)).tolist()
    nothing = np.zeros((side, side), bool)
    for number, (_, found) in zip(order, decode([paths[n] for n in order], _pixels), strict=True):
        if isinstance(found, BadImage):
            continue
        rng = np.random.default_rng((seed, number))
        for _ in range(each):
            yield [Entry(crop(found, rng, side), nothing, (), UNKNOWN)]


def _pixels(path: Path) -> NDArray[np.uint8]:
    return np.ascontiguousarray(np.moveaxis(np.rint(unit(read(path)) * 255).astype(np.uint8), 0, 2))


def crop(picture: NDArray[np.uint8], rng: np.random.Generator, side: int) -> NDArray[np.uint8]:
    """A square of a third to the whole of the shorter side, at a random place, resized to `side`, maybe mirrored."""
    from PIL import Image

    shorter = min(picture.shape[:2])
    edge = int(np.clip(shorter * np.exp(rng.uniform(np.log(1 / 3), 0)), min(shorter, side // 2), shorter))
    top, left = (int(rng.integers(0, length - edge + 1)) for length in picture.shape[:2])
    part = Image.fromarray(picture[top : top + edge, left : left + edge])
    found = np.asarray(part.resize((side, side), Image.Resampling.BICUBIC if edge < side else Image.Resampling.BOX))
    return found[:, ::-1] if rng.random() < 0.5 else found
