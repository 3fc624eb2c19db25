"""What the readers of layouts share: listing, choosing a category, finding masks, checking."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from blemish.errors import BadData, UnknownName
from blemish.types import GOOD, Sample

PICTURES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
NORMAL_NAMES = {"good", "normal", "ok"}


def pictures(folder: Path) -> list[Path]:
    """Picture files directly in a folder, by name; none when there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES and path.name[0] != ".")


def folders(folder: Path) -> list[Path]:
    """Folders directly in a folder, by name, hidden ones left out; none when there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")


def label_of(name: str) -> str:
    """The label that a folder's or table's word stands for: good, normal and ok in any case are GOOD."""
    return GOOD if name.lower() in NORMAL_NAMES else name


def chosen(found: Sequence[str], category: str | None) -> list[str]:
    """The named category, or all of them when it is None; UnknownName lists those found."""
    if category is None:
        return list(found)
    if category not in found:
        have = f"choose one of {', '.join(found)}" if found else "this data set has no categories, so name none"
        raise UnknownName(f"category {category!r} does not exist here: {have}")
    return [category]


def labelled(folder: Path, masks: Path, category: str = "") -> list[Sample]:
    """Pictures of a folder named after its label; a defect's mask is NAME_mask.* or NAME.* in `masks`."""
    label = label_of(folder.name)
    stems = {} if label == GOOD else {path.stem: path for path in pictures(masks)}
    return [
        Sample(path, label, stems.get(f"{path.stem}_mask") or stems.get(path.stem), category)
        for path in pictures(folder)
    ]


def checked(samples: Iterable[Sample]) -> list[Sample]:
    """The samples, unless some defects have a mask and others not: BadData names the first without.

    A defect without a mask would count as all good in pixel metrics, so it is refused instead; no masks at all is fine.
    """
    listed = list(samples)
    defects = [sample for sample in listed if sample.is_anomalous]
    if any(sample.mask for sample in defects):
        for sample in defects:
            if sample.mask is None:
                raise BadData(
                    f"{sample.image} is a {sample.label!r} without a mask, but other defects have one: add it"
                )
    return listed


def existing(path: Path, source: str) -> Path:
    """The path, if there is a file; BadData tells which table or list names it."""
    if not path.is_file():
        raise BadData(f"{source} names {path}, which does not exist: complete the data set or correct the entry")
    return path
