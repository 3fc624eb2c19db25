"""VisA, by its csv of the one-class split.

Zou et al., "SPot-the-Difference Self-Supervised Pre-training for Anomaly Detection and Segmentation", ECCV 2022.
split_csv/1cls.csv (object, split, label, image, mask), CATEGORY/Data/Images/Normal|Anomaly/*,
CATEGORY/Data/Masks/Anomaly/*
"""

from __future__ import annotations

from pathlib import Path

from blemish.data.files import choose, label_of, require_file
from blemish.data.rows import read_csv
from blemish.types import Sample

LOOKED_FOR = "split_csv/1cls.csv"
COLUMNS = {"object", "split", "label", "image", "mask"}


def matches(root: Path) -> bool:
    """Whether the csv is there."""
    return (root / LOOKED_FOR).is_file()


def categories(root: Path) -> list[str]:
    """The objects named in the csv."""
    return sorted({row["object"] for row in _rows(root)})


def samples(root: Path, category: str | None, split: str) -> list[Sample]:
    """Defects are all labelled "anomaly"."""
    rows = [row for row in _rows(root) if row["split"] == split]
    return [
        sample
        for name in choose(categories(root), category)
        for sample in sorted((_sample(root, row) for row in rows if row["object"] == name), key=_by_name)
    ]


def _sample(root: Path, row: dict[str, str]) -> Sample:
    masks = (require_file(root, row["mask"], LOOKED_FOR),) if row["mask"] else ()
    return Sample(require_file(root, row["image"], LOOKED_FOR), label_of(row["label"]), masks, row["object"])


def _by_name(sample: Sample) -> Path:
    return sample.image


def _rows(root: Path) -> list[dict[str, str]]:
    return read_csv(root / LOOKED_FOR, COLUMNS)
