"""AutoVI, automotive visual inspection.

Carvalho et al., "The Automotive Visual Inspection Dataset (AutoVI): A Genuine Industrial Production Dataset for
Unsupervised Anomaly Detection", Zenodo 10459003, 2024. MVTec AD's folders, and as in MVTec LOCO AD a folder of masks
for each defective picture: CATEGORY/ground_truth/TYPE/NAME/0000.png and so on. The masks of a picture are joined.
"""

from __future__ import annotations

from pathlib import Path

from blemish.data import mvtec
from blemish.data.files import folders
from blemish.types import Sample

LOOKED_FOR = "train/good, test/TYPE and ground_truth/TYPE/NAME folders, in the root or in CATEGORY folders"


def matches(root: Path) -> bool:
    """Whether a category in MVTec AD's folders has a folder of masks for a picture."""
    truths = [home / "ground_truth" for home in mvtec.homes(root).values()]
    return any(folders(kind) for truth in truths for kind in folders(truth))


def categories(root: Path) -> list[str]:
    """Folders that hold a category; the root's own name when the root is one."""
    return mvtec.categories(root)


def samples(root: Path, category: str | None, split: str) -> list[Sample]:
    """The label is the folder's name."""
    return mvtec.samples(root, category, split)
