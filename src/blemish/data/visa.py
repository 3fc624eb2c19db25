"""VisA, by its csv of the one-class split.

Zou et al., "SPot-the-Difference Self-Supervised Pre-training for Anomaly Detection and Segmentation", ECCV 2022.
split_csv/1cls.csv (object, split, label, image, mask), CATEGORY/Data/Images/Normal|Anomaly/*,
CATEGORY/Data/Masks/Anomaly/*
"""

from __future__ import annotations

import csv
from pathlib import Path

from blemish.data import Split
from blemish.data.files import checked, chosen, existing, label_of
from blemish.errors import BadData
from blemish.types import Sample

LOOKED_FOR = "split_csv/1cls.csv"
COLUMNS = {"object", "split", "label", "image", "mask"}


def matches(root: Path) -> bool:
    """Whether the csv is there."""
    return (root / LOOKED_FOR).is_file()


def categories(root: Path) -> list[str]:
    """The objects named in the csv."""
    return sorted({row["object"] for row in _rows(root)})


def samples(root: Path, category: str | None, split: Split) -> list[Sample]:
    """Defects are all labelled "anomaly"."""
    rows = [row for row in _rows(root) if row["split"] == split]
    return [
        sample
        for name in chosen(categories(root), category)
        for sample in checked(sorted((_sample(root, row) for row in rows if row["object"] == name), key=_by_name))
    ]


def _sample(root: Path, row: dict[str, str]) -> Sample:
    mask = existing(root / row["mask"], LOOKED_FOR) if row["mask"] else None
    return Sample(existing(root / row["image"], LOOKED_FOR), label_of(row["label"]), mask, row["object"])


def _by_name(sample: Sample) -> Path:
    return sample.image


def _rows(root: Path) -> list[dict[str, str]]:
    with (root / LOOKED_FOR).open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file, restval=""))
    if not rows or COLUMNS.difference(rows[0]):
        raise BadData(f"{root / LOOKED_FOR} must have rows and the columns {', '.join(sorted(COLUMNS))}")
    return rows
