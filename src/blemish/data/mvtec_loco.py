"""MVTec LOCO AD, logical constraints.

Bergmann et al., "Beyond Dents and Scratches: Logical Constraints in Unsupervised Anomaly Detection and Localization",
IJCV 2022. MVTec AD's folders with CATEGORY/validation/good/*, CATEGORY/test/logical_anomalies|structural_anomalies/
NAME.*, and a folder of masks for each defective picture: CATEGORY/ground_truth/TYPE/NAME/000.png, 001.png and so on.

Deviation: the publisher's metric (sPRO) lets each mask saturate at an area of its own; here all masks of a picture are
joined, so every pixel of a region where something may be missing counts.
"""

from __future__ import annotations

from pathlib import Path

from blemish.data import mvtec
from blemish.types import Sample

LOOKED_FOR = "train/good and test/logical_anomalies or test/structural_anomalies, in the root or in CATEGORY folders"
SPLITS = ("train", "validation", "test")
TYPES = ("logical_anomalies", "structural_anomalies")


def matches(root: Path) -> bool:
    """Whether a category in MVTec AD's folders has a folder of one of the two types."""
    return any((home / "test" / kind).is_dir() for home in mvtec.homes(root).values() for kind in TYPES)


def categories(root: Path) -> list[str]:
    """Folders that hold a category; the root's own name when the root is one."""
    return mvtec.categories(root)


def samples(root: Path, category: str | None, split: str) -> list[Sample]:
    """The label is the folder's name: of what a defect is, only the kind of anomaly is told."""
    return mvtec.samples(root, category, split)
