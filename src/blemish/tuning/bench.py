"""Good parts, some of them held out, and flaws drawn on copies of these: data sets that candidates are measured on."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blemish.data.masks import read_ground_truth
from blemish.errors import BadInput
from blemish.files import guard_write, sha256_of, write
from blemish.images import WHOLE, View, find, read, unit
from blemish.images.plain_background import find_part
from blemish.progress import ShowProgress, no_progress
from blemish.recipes.holdout import PartImages
from blemish.runs.views import part_size
from blemish.synth.drawn.scene import Mask
from blemish.synth.drawn.specimens import Picture, Specimen
from blemish.synth.parts_with_flaws import draw_on_part
from blemish.tuning.choice import REAL
from blemish.types import GOOD, Sample

GENERATORS = ("drawn", "nsa", "cutpaste", "scar", "perlin", "glass")
"""Of different kinds: flaws of surfaces, other places blended in, pieces, strips, and spots of two sorts of texture."""
SIZES, CONTRASTS = (0.5, 0.25, 1.0), (0.6, 1.0, 0.35)
"""Of the squares that hold flaws, as shares of a picture's shorter side; of the change that a generator makes."""
FEW = 16
"""From so many good parts on one fold is enough; of fewer each half is held out in turn."""
MOST_LEARNED, MOST_HELD = 128, 48
"""Parts of a fold; more make no difference to a choice."""
LEAST_PARTS = 4
SHOWN = 160
"""Pixels of a side of a flaw on the sheet."""


class Fold(NamedTuple):
    """Pictures of good parts; no part is in both."""

    learned: Sequence[Path]
    held: Sequence[Path]


class _Row(NamedTuple):
    """Of a table."""

    image: Path
    label: str
    split: str
    fold: str
    mask: Path | None = None


class Size(NamedTuple):
    """How much of a fold a round uses."""

    learned: int
    held: int
    flaws: int  # of each generator

    def doubled(self) -> Size:
        """The next larger one."""
        return Size(*(2 * each for each in self))


def divide(parts: Sequence[PartImages], seed: int) -> list[Fold]:
    """Folds of parts, each of which may have several pictures; raises BadInput for fewer than four parts."""
    if len(parts) < LEAST_PARTS:
        raise BadInput(
            f"{len(parts)} good parts are too few to choose by: give at least {LEAST_PARTS}, better 20; "
            "`blemish recipe freeze` learns from any number"
        )
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(parts)).tolist()
    half = len(parts) // 2 if len(parts) < FEW else max(LEAST_PARTS, len(parts) // 3)
    cuts = [(order[half:], order[:half]), (order[:half], order[half:])][: 2 if len(parts) < FEW else 1]
    return [
        Fold(_pictures(parts, learned)[:MOST_LEARNED], _pictures(parts, held)[:MOST_HELD]) for learned, held in cuts
    ]


def _pictures(parts: Sequence[PartImages], chosen: Sequence[int]) -> list[Path]:
    return [path for number in chosen for path in parts[number]]


def real_defects(root: Path) -> list[Sample]:
    """Pictures of defects with their masks, if there are any: in the root, in folders a type, or of a data set."""
    from blemish import data
    from blemish.evaluation.labelled_types import labelled_defects

    if found := labelled_defects(root):
        return found
    pictures = [each for each in data.samples(root) if not each.label] if data.detect(root) == "folder" else []
    return pictures or [Sample(path) for path in find([root])]


@dataclass(frozen=True, slots=True)
class Bench:
    """Where a tuning keeps its copies, its flaws and its results."""

    folder: Path
    folds: Sequence[Fold]
    defects: Sequence[Sample] = ()
    seed: int = 0
    view: View = WHOLE  # of all candidates: region, mask and white

    @property
    def names(self) -> list[str]:
        """Of the folds."""
        return [str(number) for number in range(1, len(self.folds) + 1)]

    @property
    def largest(self) -> Size:
        """What a round can use at most."""
        held = max(len(fold.held) for fold in self.folds)
        return Size(max(len(fold.learned) for fold in self.folds), held, max(8, min(16, 2 * held)))

    def picture_size(self) -> tuple[int, int]:
        """The median height and width of what is inspected of the good parts."""
        return part_size([path for fold in self.folds for path in (*fold.learned, *fold.held)], self.view)

    def lay_out(self, number: int, size: Size, watch: ShowProgress = no_progress) -> Path:
        """The table of a round, in the layout `table`: a category a fold, labels as `choice.judge` reads them."""
        path, rows = self.folder / f"round{number}.csv", list[_Row]()
        advance = watch("drawing flaws", len(self.folds) * len(GENERATORS) * size.flaws)
        for name, fold in zip(self.names, self.folds, strict=True):
            rows += [_Row(self._place(each), GOOD, "train", name) for each in fold.learned[: size.learned]]
            rows += [_Row(self._place(each, plain=True), GOOD, "test", name) for each in fold.held[: size.held]]
            for generator in GENERATORS:
                for index in range(size.flaws):
                    found = self._flaw(int(name), generator, index)
                    rows += [_Row(found[0], generator, "test", name, found[1])] if found else []
                    advance()
            rows += [
                _Row(self._place(each.image, plain=True), REAL, "test", name, self._truth(each))
                for each in self.defects
            ]
        write(path, _rows(self.folder, rows))
        return path

    def _place(self, source: Path, *, plain: bool = False) -> Path:
        """A picture's name in the folder: a link where the disk has them, or a copy. plain: of 8 bits a sample."""
        place = self.folder / "parts" / f"{_digest(source)}{source.suffix.lower()}"
        shallow = place.with_name(f"{place.stem}-8.png")
        if plain and (shallow.exists() or read(source, white=self.view.white).dtype != np.uint8):
            return shallow if shallow.exists() else _save(shallow, self._pixels(source))
        if place.exists():
            return place
        with guard_write(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            beside = place.with_name(f".{place.name}")
            with suppress(OSError):
                beside.unlink()
            try:
                os.link(os.path.realpath(source), beside)
            except OSError:
                shutil.copyfile(source, beside)
            beside.replace(place)
        return place

    def _truth(self, sample: Sample) -> Path | None:
        """The joined mask of a defect, if it has one."""
        if not sample.masks:
            return None
        place = self.folder / "parts" / f"{_digest(sample.image)}_mask.png"
        return place if place.exists() else _save(place, read_ground_truth(sample.masks, sample.image))

    def _flaw(self, fold: int, generator: str, index: int) -> tuple[Path, Path] | None:
        """The picture and the mask of a flaw: always the same for a place; None where none can be seen."""
        picture = self.folder / "flaws" / str(fold) / f"{generator}-{index}.png"
        mask = picture.with_name(f"{picture.stem}_mask.png")
        if picture.exists():
            return picture, mask
        held, learned = self.folds[fold - 1].held, self.folds[fold - 1].learned
        whole, other = (self._pixels(found[index % len(found)]) for found in (held, learned))
        region = self._window(whole)
        part = whole[region]
        rng = np.random.default_rng((self.seed, fold, GENERATORS.index(generator), index))
        drawn = draw_on_part(
            part, other[self._window(other)], rng, generator=generator, size=SIZES[index % 3],
            contrast=CONTRASTS[(index + index // 3) % 3], part=self._where(part, region),
        )  # fmt: skip
        if drawn is None:
            return None
        shown = np.zeros(whole.shape[:2], bool)
        whole[region], shown[region] = drawn
        _save(mask, shown)
        return _save(picture, whole), mask

    def _pixels(self, path: Path) -> Picture:
        """uint8 (H, W, 3), which may be written to; raises BadImage."""
        return pixels(path, self.view.white).copy()

    def _window(self, picture: Picture) -> tuple[slice, slice]:
        """What is inspected of a picture, but for a mask."""
        x, y, width, height = self.view.region or (0, 0, picture.shape[1], picture.shape[0])
        return slice(y, y + height), slice(x, x + width)

    def _where(self, part: Picture, window: tuple[slice, slice]) -> Mask | None:
        """Where flaws may lie in it: on the part, if that stands on a plain background, and inside the mask."""
        found, mask = find_part(part.transpose(2, 0, 1)), self.view.mask
        if mask is None:
            return found
        return mask[window] if found is None or not (found & mask[window]).any() else found & mask[window]

    def specimens(self) -> Iterator[Specimen]:
        """The flaws that were drawn, each seen from near, kinds in turn."""
        found = [path for path in (self.folder / "flaws").rglob("*.png") if not path.stem.endswith("_mask")]
        for path in sorted(found, key=lambda each: (int(each.stem.partition("-")[2]), each)):
            generator, _, index = path.stem.partition("-")
            held = self.folds[int(path.parent.name) - 1].held
            mask = np.asarray(Image.open(path.with_name(f"{path.stem}_mask.png"))) > 0
            good, flawed = self._pixels(held[int(index) % len(held)]), np.asarray(Image.open(path))
            yield _closer(Specimen(good, flawed, mask, (), generator))


def pixels(path: Path, white: float | None = None) -> Picture:
    """uint8 (H, W, 3); raises BadImage."""
    found = read(path, white=white)
    if found.dtype != np.uint8:
        found = np.rint(unit(found) * 255).astype(np.uint8)
    return np.ascontiguousarray(found.transpose(1, 2, 0))


def _closer(whole: Specimen) -> Specimen:
    """A square of the picture with the flaw in its middle, of one size for all."""
    rows, columns = np.flatnonzero(whole.mask.any(1)), np.flatnonzero(whole.mask.any(0))
    extent = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    side = int(min(max(3 * extent, min(whole.mask.shape) // 3), *whole.mask.shape))
    middle = (rows[0] + rows[-1]) // 2, (columns[0] + columns[-1]) // 2
    top, left = (int(np.clip(at - side // 2, 0, n - side)) for at, n in zip(middle, whole.mask.shape, strict=True))

    def seen(picture: NDArray[Any]) -> NDArray[np.uint8]:
        return np.asarray(Image.fromarray(picture[top : top + side, left : left + side]).resize((SHOWN, SHOWN)))

    mask = seen(whole.mask.astype(np.uint8) * 255) >= 128
    return whole._replace(good=seen(whole.good), flawed=seen(whole.flawed), mask=mask)


def _rows(folder: Path, found: Iterable[_Row]) -> str:
    """A csv table in that folder."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(("image", "label", "split", "category", "mask"))
    for each in found:
        paths = [path.relative_to(folder).as_posix() if path else "" for path in (each.image, each.mask)]
        table.writerow((paths[0], each.label, each.split, each.fold, paths[1]))
    return text.getvalue()


def _digest(path: Path) -> str:
    return sha256_of(path)[:16]


def _save(path: Path, picture: Mask | Picture) -> Path:
    """A PNG, whole or not at all; quick rather than small."""
    made = io.BytesIO()
    levels = picture.astype(np.uint8) * 255 if picture.dtype == bool else picture
    Image.fromarray(levels).save(made, "PNG", compress_level=1)
    write(path, made.getvalue(), lasting=False)
    return path
