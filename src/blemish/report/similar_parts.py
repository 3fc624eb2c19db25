"""Which good part looks most like a picture."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blemish.images import WHOLE, View, keep_readable
from blemish.inspection import read_each, read_part
from blemish.report.pictures import large, shrink, small
from blemish.report.spool import Spool

SIDE = 16
ASPECT = 1800.0
"""What a picture twice as wide differs by: as much as one 65 grey levels brighter all over."""


class GoodParts:
    """Good parts, on disk, found again by likeness: colours of 16 x 16 fields, and the aspect; 3 kB a part in memory.

    So small a picture knows place and shade, not detail; what is defective hardly moves it.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.likenesses = np.empty((0, SIDE * SIDE * 3 + 1), np.float32)
        self._new: list[NDArray[np.float32]] = []
        self._small, self._large = Spool(), Spool()

    def __enter__(self) -> Self:
        self._small.__enter__()
        self._large.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._small.__exit__()
        self._large.__exit__()

    def __len__(self) -> int:
        return len(self.names)

    def add(self, name: str, image: Image.Image) -> None:
        """One more good part."""
        self.names.append(name)
        self._new.append(likeness(image))
        self._small.add(small(image))
        self._large.add(large(image))

    def nearest(self, image: Image.Image) -> int | None:
        """The number of the good part that looks most like the picture; None when there is none."""
        if self._new:
            self.likenesses = np.concatenate([self.likenesses, np.stack(self._new)])
            self._new.clear()
        if not len(self.likenesses):
            return None
        return int(np.square(self.likenesses - likeness(image)).sum(1).argmin())

    def picture(self, number: int) -> Image.Image:
        """A good part, as large as the page shows it."""
        return Image.open(io.BytesIO(self._large[number]))

    def encoded(self, number: int) -> tuple[bytes, bytes]:
        """A good part's small and large picture, both WebP."""
        return self._small[number], self._large[number]


def likeness(image: Image.Image) -> NDArray[np.float32]:
    """(769,): the mean colours of 16 x 16 fields, in [0, 255], and how wide the picture is."""
    fields = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    wide = ASPECT * np.log2(image.width / image.height)
    return np.append(np.asarray(fields, dtype=np.float32).reshape(-1), np.float32(wide))


def read_good_parts(goods: GoodParts, paths: Iterable[Path], view: View = WHOLE) -> None:
    """Add every picture that can be read; what cannot has been reported by whoever learned from it."""
    shown = replace(view, mask=None)  # what a mask hides belongs to the picture of a part
    pictures = read_each(paths, lambda source: shrink(read_part(source, shown)[1]))
    for source, picture in keep_readable(pictures, []):
        goods.add(source.id, picture)
