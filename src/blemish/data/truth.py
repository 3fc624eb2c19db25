"""Where people put ground-truth masks, and which picture each of them belongs to.

A picture TYPE/NAME.* has its masks in a folder of masks, as TYPE/NAME.* or TYPE/NAME_mask.* (_label, _gt), or several
in TYPE/NAME/*; or in a folder of masks inside TYPE; or beside it as NAME_mask.*; or, where no other defect has that
name, directly in the folder of masks. Several masks of a picture are joined.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from blemish.data.files import folders, is_picture, label_of, pictures
from blemish.notices import notice
from blemish.types import GOOD, Sample

FOLDERS = {"mask", "masks", "ground_truth", "groundtruth", "gt"}
ENDINGS = ("_mask", "_label", "_gt")

_Masks = tuple[Path, ...]


def is_mask_folder(folder: Path) -> bool:
    """Whether its name, in any case, says that it holds masks."""
    return folder.name.lower().replace("-", "_").replace(" ", "_") in FOLDERS


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


def samples_in(labels: Sequence[Path], masks: Sequence[Path], category: str = "") -> list[Sample]:
    """The pictures of folders named after their label, with the masks of defects in the folders `masks`.

    A mask that fits no picture is said.
    """
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
        listed = self._of(picture.parent)
        return self._use(path for ending in ENDINGS for path in listed.get(picture.stem.lower() + ending, []))

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
    return next((stem.removesuffix(ending) for ending in ENDINGS if stem.endswith(ending)), "")


def _say_spare(places: Iterator[Path], index: _Index) -> None:
    for place in places:
        for path in sorted(place.rglob("*")):
            if is_picture(path) and path not in index.used:
                notice("%s is a mask that fits no picture: name it after one, as NAME.png or NAME_mask.png", path)
