"""Where the pictures of a store come from: drawn specimens, photographs that are at hand, and real flaws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blemish.data.masks import read_ground_truth
from blemish.errors import BadImage, BadInput
from blemish.images import decode, find, read, unit
from blemish.pretrain.store import UNKNOWN, Entry
from blemish.synth.drawn.scene import Mask
from blemish.synth.drawn.specimens import Picture, on_photograph, specimen
from blemish.types import GOOD, Sample

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


def real_flaws(
    samples: Sequence[Sample], product: tuple[str, ...], families: Mapping[str, str], seed: int, side: int
) -> Iterator[Sequence[Entry]]:
    """A window about the flaw of each picture that has a mask, after one of a good part; unusable ones are left out.

    Where there is no good part, a window without a flaw of the same picture. families: of the flaws, by their labels.
    """
    good = [sample.image for sample in samples if sample.label == GOOD]
    bad = [sample for sample in samples if sample.is_anomalous and sample.masks]
    nothing = np.zeros((side, side), bool)
    for number, (sample, found) in enumerate(decode(bad, _marked)):
        if isinstance(found, BadImage) or not found[1].any():
            continue
        rng = np.random.default_rng((seed, number))
        picture, mask = found
        at = _window(mask.shape, rng, side, inside=rng.choice(np.argwhere(mask)))
        shown = np.asarray(Image.fromarray(mask[at]).convert("L").resize((side, side), Image.Resampling.BOX)) > 63
        own = _unmarked(picture, mask, rng, side) if not good else None
        beside = crop(_pixels(good[rng.integers(len(good))]), rng, side) if good else own
        if beside is not None and shown.any():
            yield [
                Entry(beside, nothing, product),
                Entry(_resized(picture[at], side), shown, product, families[sample.label]),
            ]


def _marked(sample: Sample) -> tuple[Picture, Mask]:
    picture = _pixels(sample.image)
    return picture, read_ground_truth(sample.masks, sample.image, size=picture.shape[:2])


def _unmarked(picture: Picture, mask: Mask, rng: np.random.Generator, side: int) -> Picture | None:
    """A window without a flaw, if a few tries find one."""
    windows = (_window(mask.shape, rng, side) for _ in range(20))
    return next((_resized(picture[at], side) for at in windows if not mask[at].any()), None)


def _pixels(path: Path) -> NDArray[np.uint8]:
    return np.ascontiguousarray(np.moveaxis(np.rint(unit(read(path)) * 255).astype(np.uint8), 0, 2))


def crop(picture: NDArray[np.uint8], rng: np.random.Generator, side: int) -> NDArray[np.uint8]:
    """A square of a third to the whole of the shorter side, at a random place, resized to `side`, maybe mirrored."""
    found = _resized(picture[_window(picture.shape[:2], rng, side)], side)
    return found[:, ::-1] if rng.random() < 0.5 else found


def _window(
    shape: tuple[int, ...], rng: np.random.Generator, side: int, *, inside: Sequence[int] | NDArray[np.int64] = ()
) -> tuple[slice, slice]:
    """Rows and columns of such a square, anywhere, or with the pixel `inside` in it."""
    shorter = min(shape)
    edge = int(np.clip(shorter * np.exp(rng.uniform(np.log(1 / 3), 0)), min(shorter, side // 2), shorter))
    ends = [length - edge for length in shape]
    lows = [max(0, int(at) - edge + 1) for at in inside] or [0, 0]
    highs = [min(end, int(at)) for end, at in zip(ends, inside, strict=True)] if len(inside) else ends
    top, left = (int(rng.integers(low, high + 1)) for low, high in zip(lows, highs, strict=True))
    return slice(top, top + edge), slice(left, left + edge)


def _resized(part: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    method = Image.Resampling.BICUBIC if len(part) < side else Image.Resampling.BOX
    return np.asarray(Image.fromarray(part).resize((side, side), method))
