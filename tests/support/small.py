"""A few small pictures with words, a teacher that says something simple, and a student small enough for a test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from blemish.encoders.embedded.network import Embedded, EmbeddedConfig
from blemish.encoders.embedded.words import WordsConfig
from blemish.pretrain import pipeline
from blemish.pretrain.store import UNKNOWN, Entry, Store
from blemish.pretrain.teachers import TeacherMap, store_features
from blemish.progress import no_progress

SIDE = 64
READS = WordsConfig(width=16, depth=1, heads=2, buckets=64, output=12)
SEES = EmbeddedConfig(  # multiples of 8: others crash oneDNN's strided convolutions on processors without AVX-512
    image_size=SIDE, stem=8, widths=(8, 8, 16, 16), depths=(1, 1, 1, 1), neck=8, output=12, words=READS
)  # fmt: skip
PRODUCTS = (("metal plate", "plate"), ("screw",), ("bottle", "flask"))
FLAWS = ("scratch", "dent", "hole", "stain")
LESSONS = (TeacherMap("grey", 0, 2, 8, 4), TeacherMap("grey", 0, 5, 8, 4))


def twins(number: int, side: int = SIDE) -> list[Entry]:
    """A dull part, and the same one with a bright square left of its middle."""
    rng = np.random.default_rng(number)
    good = rng.integers(90, 120, (side, side, 3), dtype=np.uint8)
    flawed, mask = good.copy(), np.zeros((side, side), bool)
    top, left = (int(at) for at in rng.integers(4, side // 2 - 16, 2))
    mask[top : top + 16, left : left + 12] = True
    flawed[mask] = 230
    product, family = PRODUCTS[number % len(PRODUCTS)], FLAWS[number % len(FLAWS)]
    return [Entry(good, np.zeros_like(mask), product), Entry(flawed, mask, product, family)]


def several(count: int, side: int = SIDE) -> Iterator[list[Entry]]:
    return (twins(number, side) for number in range(count))


def photographs(count: int) -> Iterator[list[Entry]]:
    """Pictures about which nothing is known."""
    for number in range(count):
        pixels = np.random.default_rng((7, number)).integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
        yield [Entry(pixels, np.zeros((SIDE, SIDE), bool), (), UNKNOWN)]


def stored(folder: Path, count: int = 6, *, photos: int = 0) -> Store:
    store = Store(folder, SIDE)
    groups = [*several(count), *photographs(photos)]
    store.fill(groups, sum(map(len, groups)))
    return store


def look(images: Tensor) -> list[Tensor]:
    """Seven channels at stride 8."""
    return [F.avg_pool2d(torch.cat([images, images.square(), images.mean(1, keepdim=True).sqrt()], 1), 8)]


def taught(folder: Path, *, photos: int = 3) -> list[Store]:
    """Twins and photographs that the teacher was asked about."""
    store = stored(folder / "twins", photos=photos)
    store_features(store, look, LESSONS, folder / "bases", no_progress)
    return [store]


def student(stores: Sequence[Store], *, seed: int = 0) -> Embedded:
    return pipeline.initial_student(SEES, pipeline.words_of(stores), None, seed)
