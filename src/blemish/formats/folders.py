"""The table -> folders that `teach`, `train` and `evaluate` read: `good`, a folder a type, and `masks`.

A picture with defects of several types is in the folder of each, with a mask of that type alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from blemish.data.files import label_of
from blemish.data.truth import is_mask_folder
from blemish.errors import BadInput
from blemish.files import as_name
from blemish.formats.pictures import copy_picture, save_mask
from blemish.formats.polygons import fill_polygons
from blemish.formats.table import NO_TYPE, Annotated, Annotation, Survey
from blemish.notices import notice
from blemish.types import GOOD

MASKS = "masks"
DRAWN_AT_ONCE = 1 << 22
"""Pixels of masks that are in memory together, or those of one mask."""


def write_folders(table: Iterable[Annotated], survey: Survey, out: Path) -> Counter[str]:
    """Into a folder that is there and empty; returns how many pictures each label has.

    A rejected picture without a region has no mask; one for review is of no label, and is left out.
    """
    for name in survey.types:
        _require_folder(name)
    counts, taken = Counter[str](), set[int]()
    for picture in table:
        labels, name = list(_labels(picture)), survey.name(picture)
        targets = [out / as_name(label) / _free_name(label, name, taken) for label, _ in labels]
        copy_picture(picture.place, *targets)
        masks = draw_masks([regions for _, regions in labels if regions], picture)
        for target in (each for each, (_, regions) in zip(targets, labels, strict=True) if regions):
            save_mask(out / MASKS / target.parent.name / f"{target.stem}.png", next(masks))
        counts.update(label for label, _ in labels)
    return counts


def draw_masks(groups: Sequence[Sequence[Annotation]], picture: Annotated) -> Iterator[NDArray[np.bool_]]:
    """True where any region of a group is, of each (H, W) of the picture; of a small picture many are drawn at once."""
    step = max(1, DRAWN_AT_ONCE // (picture.height * picture.width))
    for at in range(0, len(groups), step):
        some = groups[at : at + step]
        outlines = [
            (number, each) for number, regions in enumerate(some) for region in regions for each in region.outlines
        ]
        masks = np.zeros((len(some), picture.height, picture.width), bool)
        fill_polygons(masks, [each for _, each in outlines], [number for number, _ in outlines])
        yield from masks


def _labels(picture: Annotated) -> Iterator[tuple[str, list[Annotation]]]:
    """Each label of a picture with the regions that are of it."""
    marked: dict[str, list[Annotation]] = {}
    for region in picture.regions:
        if label_of(region.type) == GOOD:
            notice("a region of the type good marks no defect, as in %s: it is passed over", picture.path)
        else:
            marked.setdefault(region.type or NO_TYPE, []).append(region)
    if marked:
        yield from marked.items()
    elif picture.verdict == "review":
        notice("a picture that is for review has no label, such as %s: it is left out", picture.path)
    elif picture.verdict == "reject" or (picture.types and picture.verdict != "accept"):
        yield from ((name, []) for name in picture.types or (NO_TYPE,))
    else:
        yield GOOD, []


def _require_folder(name: str) -> None:
    if is_mask_folder(Path(as_name(name))):
        raise BadInput(f"a type is called {name!r}, as folders of masks are: give it another name in the labels")


def _free_name(label: str, name: str, taken: set[int]) -> str:
    """The picture's name in the folder of its label, with a sum where another one has that; masks have no endings."""
    flat = Path(as_name(name))
    key = hash((label, flat.stem.lower()))
    if key in taken:
        return f"{flat.stem}-{sha256(name.encode(errors='surrogatepass')).hexdigest()[:8]}{flat.suffix}"
    taken.add(key)
    return flat.name
