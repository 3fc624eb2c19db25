"""DAGM 2007, industrial optical inspection.

Wieler and Hahn, "Weakly Supervised Learning for Industrial Optical Inspection", DAGM 2007. ClassN/Train|Test/NNNN.PNG
with Label/NNNN_label.PNG for each defect, an ellipse around it; pictures without one are good.
"""

from __future__ import annotations

from pathlib import Path

from blemish.data.files import choose, folders, pictures
from blemish.types import GOOD, Sample

LOOKED_FOR = "ClassN folders of Train and Test, each with a Label folder"


def matches(root: Path) -> bool:
    """Whether a ClassN folder holds Train/Label or Test/Label."""
    return bool(categories(root))


def categories(root: Path) -> list[str]:
    """Class1 to Class10 as published, in the order of their numbers."""
    homes = [home for home in folders(root) if home.name.startswith("Class") and _has_labels(home)]
    return [home.name for home in sorted(homes, key=lambda home: (len(home.name), home.name))]


def samples(root: Path, category: str | None, split: str) -> list[Sample]:
    """As published, so that train holds defects too; all are labelled "defect"."""
    return [
        sample
        for name in choose(categories(root), category)
        for sample in _samples(root / name / split.capitalize(), name)
    ]


def _samples(folder: Path, category: str) -> list[Sample]:
    masks = {path.stem.lower(): path for path in pictures(folder / "Label")}
    found = [(image, masks.get(f"{image.stem}_label".lower())) for image in pictures(folder)]
    return [Sample(image, "defect" if mask else GOOD, (mask,) if mask else (), category) for image, mask in found]


def _has_labels(home: Path) -> bool:
    return any((home / part / "Label").is_dir() for part in ("Train", "Test"))
