"""Where people put ground-truth masks, and which picture each of them belongs to.

A picture TYPE/NAME.* has its masks in a folder of masks, as TYPE/NAME.* or TYPE/NAME_mask.* (or another of ENDINGS),
or several in TYPE/NAME/*; or in a folder of masks inside TYPE; or beside it as NAME_mask.*; or, where no other defect
has that name, directly in the folder of masks. Several masks of a picture are joined. What fits no picture is said, and
so is a folder that holds files of the pictures' names and is called otherwise.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from blemish.data.files import folders, is_picture, label_of, pictures
from blemish.errors import BadImage
from blemish.images import find, read, unit
from blemish.notices import notice
from blemish.types import GOOD, Sample

_MASKS = ("mask", "ground_truth", "groundtruth", "gt", "segmentation", "seg", "annotation", "truth", "gt_mask")
_IMAGES = ("mask_image", "mask_img", "label_image", "ground_truth_mask", "groundtruth_mask", "segmentation_mask")
FOLDERS = {"labels", *(name + plural for name in (*_MASKS, *_IMAGES) for plural in ("", "s"))}  # a label is also a part
ENDINGS = ("_ground_truth", "_groundtruth", "_mask", "_label", "_gt", "_segmentation", "_seg", "_annotation")

LOOKED_AT = 100
"""Folders of types of which a picture of each is read, to see whether it is a mask; of more folders none is."""

_Masks = tuple[Path, ...]


def is_mask_folder(folder: Path) -> bool:
    """Whether its name, in any case, says that it holds masks."""
    return re.sub(r"[-_ .]+", "_", folder.name.lower()) in FOLDERS


def picture_stems(mask: Path) -> tuple[str, ...]:
    """Stems that the picture of a mask may have: its own, and that without its ending."""
    return tuple(filter(None, (mask.stem, _picture_of(mask.stem))))


def leave_out_masks(folder: Path, masks: Path | None) -> list[Path]:
    """The pictures at any depth of a folder that are neither in the folder `masks` nor, said, in another of masks."""
    inside = masks.resolve() if masks else None
    found = [path for path in find([folder]) if inside not in path.resolve().parents]
    spare = [path for path in found if any(map(is_mask_folder, _folders_between(path, folder)))]
    if spare:
        notice("%s is left out, since it lies among masks: name their folder by --masks", spare[0])
    return [path for path in found if path not in set(spare)]


def _folders_between(path: Path, below: Path) -> list[Path]:
    return [parent for parent in path.parents if below in parent.parents]


def mask_folders(*homes: Path) -> list[Path]:
    """Folders of masks directly in those."""
    return [folder for home in homes for folder in folders(home) if is_mask_folder(folder)]


def kinds(home: Path) -> list[Path]:
    """Folders directly in one that are named after what their pictures show."""
    return [folder for folder in folders(home) if not is_mask_folder(folder)]


def without_masks(folder: Path) -> list[Path]:
    """Pictures directly in a folder but for masks that lie beside them."""
    found = pictures(folder)
    stems = {path.stem.lower() for path in found}
    return [path for path in found if _picture_of(path.stem.lower()) not in stems]


def samples_in(labels: Sequence[Path], homes: Sequence[Path], category: str = "") -> list[Sample]:
    """The pictures of folders named after their label, with the masks of defects in folders of masks in `homes`.

    A mask that fits no picture is said, and a folder that looks as if it held masks and is no such folder.
    """
    masks = mask_folders(*homes)
    inside = {folder: mask_folders(folder) for folder in labels}
    near = {folder: _nearest(folder, masks) for folder in labels}
    shown = {folder: without_masks(folder) for folder in labels}
    names = Counter(
        path.stem.lower() for folder, found in shown.items() if label_of(folder.name) != GOOD for path in found
    )
    index = _Index()
    samples = []
    for folder, found in shown.items():
        label, places = label_of(folder.name), [*(home / folder.name for home in near[folder]), *inside[folder]]
        for path in found:
            alone = near[folder] if names[path.stem.lower()] == 1 or label == GOOD else ()
            own = index.masks(path, places) or index.beside(path) or index.masks(path, alone)
            samples.append(Sample(path, label, () if label == GOOD else own, category))
    _say_spare(chain(masks, *inside.values()), index)
    _say_ignored(homes, shown)
    return samples


def _nearest(folder: Path, masks: Sequence[Path]) -> list[Path]:
    """Folders of masks beside a folder or above it, not those of another split; the nearest first."""
    around = [home for home in masks if home.parent in folder.parents]
    return sorted(around, key=lambda home: -len(home.parts))


class _Index:
    """Files of folders by their lower-case stems, each folder listed once; remembers which were asked for."""

    def __init__(self) -> None:
        self._listed: dict[Path, Mapping[str, list[Path]]] = {}
        self.used: set[Path] = set()

    def masks(self, picture: Path, places: Sequence[Path]) -> _Masks:
        """Those of the first place that has any."""
        for place in places:
            stem, listed = picture.stem.lower(), self._of(place)
            ended = [path for ending in ENDINGS for path in listed.get(stem + ending, [])]
            own = (*(ended or listed.get(stem, [])), *pictures(place / picture.stem))
            if own:
                return self._use(own)
        return ()

    def beside(self, picture: Path) -> _Masks:
        listed, stem = self._of(picture.parent), picture.stem.lower()
        return self._use(path for ending in ENDINGS for path in listed.get(stem + ending, []))

    def _use(self, found: Iterator[Path] | _Masks) -> _Masks:
        own = tuple(found)
        self.used.update(own)
        return own

    def _of(self, folder: Path) -> Mapping[str, list[Path]]:
        if folder not in self._listed:
            stems: dict[str, list[Path]] = {}
            for path in pictures(folder):
                stems.setdefault(path.stem.lower(), []).append(path)
            self._listed[folder] = stems
        return self._listed[folder]


def _picture_of(stem: str) -> str:
    """The stem of the picture beside which a file of that stem would be a mask; "" where it would not."""
    return next((stem[: -len(ending)] for ending in ENDINGS if stem.lower().endswith(ending)), "")


def _say_spare(places: Iterator[Path], index: _Index) -> None:
    for place in places:
        for path in sorted(place.rglob("*")):
            if is_picture(path) and path not in index.used:
                notice("%s is a mask that fits no picture: name it after one, as NAME.png or NAME_mask.png", path)


def _say_ignored(homes: Sequence[Path], shown: Mapping[Path, Sequence[Path]]) -> None:
    """Folders beside those of the labels, or in them, whose files are called as pictures of defects are."""
    defects = {folder: found for folder, found in shown.items() if found and label_of(folder.name) != GOOD}
    known = {above for folder, found in shown.items() if found for above in (folder, *folder.parents)}
    for place in (place for home in (*homes, *defects) for place in folders(home)):
        if place not in known and not is_mask_folder(place) and any(_is_like(place, *each) for each in defects.items()):
            notice("%s is ignored, though its files are called as pictures are: call it ground_truth for masks", place)
    folders_of = Counter(stem for found in defects.values() for stem in {path.stem.lower() for path in found})
    for folder, found in defects.items():
        if len(defects) <= LOOKED_AT and _are_masks(found, folders_of):
            notice("%s is taken for a type of defect, though it looks as masks do: call it ground_truth then", folder)


def _is_like(place: Path, folder: Path, found: Sequence[Path]) -> bool:
    """Whether a folder, or one in it that is called as `folder`, has a file called as one of its pictures."""
    stems = {path.stem.lower() for path in found}
    beside = () if folder in place.parents else pictures(place / folder.name)
    files = (path for path in (*pictures(place), *beside))
    return any(stem.lower() in stems for path in files for stem in picture_stems(path))


def _are_masks(found: Sequence[Path], folders_of: Mapping[str, int]) -> bool:
    """Whether all are called as other defects are and the first one is black with a little of one colour.

    folders_of: of each name, in how many folders of defects it is, this one included.
    """
    own = {path.stem.lower() for path in found}
    called = ([stem.lower() for stem in picture_stems(path)] for path in found)
    named = all(any(folders_of.get(stem, 0) > (stem in own) for stem in stems) for stems in called)
    return bool(found) and named and _is_plain(found[0])


def _is_plain(path: Path) -> bool:
    try:
        pixels = unit(read(path))
    except BadImage:
        return False
    return bool((pixels == 0).any()) and len(np.unique(pixels.reshape(3, -1), axis=1).T) <= 2
